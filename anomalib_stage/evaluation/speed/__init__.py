# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage benchmark-speed``: what a synthesis costs, beside what else there is."""
