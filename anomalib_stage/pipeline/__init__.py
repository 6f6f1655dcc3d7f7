# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""One pair from start to end: what to paint is planned, painted, judged and put into its image."""
