# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of synthetic regions against real ones, and of repainted good surface against untouched surface."""
