# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that measure: what helps a detector, what gives a painted picture away, what it costs."""
