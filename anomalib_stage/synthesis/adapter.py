# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Mask guidance adapter (MGA) of the published method: rewrites a network's eps, told the mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MaskGuidanceAdapter"]

WIDTHS = (64, 256, 512, 256, 64)
"""Channels of the five 3x3 layers, as published."""


class MaskGuidanceAdapter(nn.Module):
    """The published adapter: five times conv3x3, batch norm, ReLU, then conv1x1.

    Its output *replaces* the network's eps: not residual, not zero-initialised. In evaluation mode batch norm uses its
    running statistics. Parameter names are the published ones (``conv.0.weight`` ... ``conv.15.bias``).

    Args:
        channels (int): Latent channels, of eps and of the result. Defaults to ``4``.
    """

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.channels = channels
        layers: list[nn.Module] = []
        inputs = 2 * channels
        for width in WIDTHS:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        self.conv = nn.Sequential(*layers, nn.Conv2d(inputs, channels, 1))

    def forward(self, eps: Tensor, mask: Tensor) -> Tensor:
        """Return the guided eps.

        Args:
            eps (Tensor): Prediction of the network, ``(B, C, h, w)`` float.
            mask (Tensor): ``(B, 1, h, w)`` in [0, 1]: alignment mask (aware branch) or anomaly mask (anomaly-only).

        Returns:
            Tensor: ``(B, C, h, w)``.
        """
        guided: Tensor = self.conv(torch.cat([eps, mask.expand(-1, self.channels, -1, -1)], dim=1))
        return guided
