# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The method: pure functions of tensors and arrays. No files, no environment, no logging."""
