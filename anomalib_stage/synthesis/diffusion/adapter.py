# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Mask guidance adapters (MGA): they rewrite a network's eps, told the mask. The published one, and a tamer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MaskGuidanceAdapter", "ResidualAdapter"]

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


class ResidualAdapter(nn.Module):
    """An adapter that starts as the identity: eps plus a correction whose last layer is zero.

    The published one starts by replacing a trained network's eps with noise, and its batch norm makes training depend
    on which time steps share a batch. Here a fit starts from what the network can do, and group norm looks at each
    sample alone.

    Args:
        channels (int): Latent channels. Defaults to ``4``.
        widths (Sequence[int]): Channels of the 3x3 layers.
        groups (int): Groups of each norm; divides every width.

    Raises:
        InputError: If a width is not a multiple of the groups.
    """

    def __init__(self, channels: int = 4, *, widths: Sequence[int] = WIDTHS, groups: int = 8) -> None:
        super().__init__()
        if groups < 1 or not widths or any(width < 1 or width % groups for width in widths):
            msg = f"adapter widths {tuple(widths)} with {groups} groups; widths are multiples of the groups"
            raise InputError(msg)
        self.channels = channels
        layers: list[nn.Module] = []
        inputs = 2 * channels
        for width in widths:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.GroupNorm(groups, width), nn.SiLU()]
            inputs = width
        last = nn.Conv2d(inputs, channels, 1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.conv = nn.Sequential(*layers, last)

    def forward(self, eps: Tensor, mask: Tensor) -> Tensor:
        """Return eps with its correction; arguments and result as in :meth:`MaskGuidanceAdapter.forward`."""
        change: Tensor = self.conv(torch.cat([eps, mask.expand(-1, self.channels, -1, -1)], dim=1))
        return eps + change
