# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of the latent backbone, and the checkpoints that they are made of."""
