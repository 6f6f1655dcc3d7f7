# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage benchmark``: which synthetic anomalies teach a segmenter to find real defects."""
