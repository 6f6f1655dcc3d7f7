# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where the anomalies of a benchmark come from: the free alternatives, real defects, and STAGE bundles.

Each source makes a set of pictures once, as a function of the data and a seed; every network of a benchmark then learns
from sets of one size.
"""
