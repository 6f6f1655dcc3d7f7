# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The commands: typed functions that yield the lines which the command line prints.

torch is imported when a command runs, not for ``--help``.
"""
