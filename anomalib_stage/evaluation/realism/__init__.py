# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage quality``: what a bundle paints, measured against real defects and untouched surface."""
