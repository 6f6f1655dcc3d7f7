# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a real mask fits: pictures of what surrounded it, and places that look like them."""
