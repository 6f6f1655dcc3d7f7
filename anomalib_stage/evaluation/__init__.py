# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements: what anomalies teach, how real they look, how fast they are painted."""
