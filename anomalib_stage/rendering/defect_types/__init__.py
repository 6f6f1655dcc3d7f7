# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Defect types: how each defect appears, on the surface that it is painted into."""
