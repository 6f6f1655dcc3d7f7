# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a speed benchmark measures with: clocks, counters, a profiler."""
