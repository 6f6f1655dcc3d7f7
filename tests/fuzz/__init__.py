# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Attacks with files that were changed at random: seeded mutators, and what counts their results."""
