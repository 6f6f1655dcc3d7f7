# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What watches over a training: averaged weights, the judge of held-out defects, and sample sheets."""
