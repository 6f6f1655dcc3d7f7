# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The version of this package; it is written nowhere else."""

__version__ = "0.1.0"
