# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered surfaces and defects: pictures with known masks to learn from."""
