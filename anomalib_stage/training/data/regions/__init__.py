# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Training regions: what draws them, how they are changed, and how they are mixed."""
