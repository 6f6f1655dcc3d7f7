# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of two levels, such as binarized circuit boards: an anomaly has no third one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["find_two_levels", "quantize_two_level"]

SAMPLES = 96
"""At most so many rows and columns of a picture are looked at."""

NEAR = 8.0 / 255.0
"""A pixel within this of the darkest or the lightest has its level."""

SHARE = 0.995
"""Share of the pixels that must have one of the two."""

APART = 0.2
"""Least distance of the two levels; an even surface has one level only."""


def find_two_levels(image: Tensor) -> Tensor:
    """Find the two levels of a picture that has no others.

    Args:
        image (Tensor): ``(3, H, W)`` float in [0, 1].

    Returns:
        Tensor: ``(2, 3)``, the dark and the light colour; NaN where the picture has more levels, or one.
    """
    height, width = image.shape[1:]
    some = image[:, :: -(-height // SAMPLES), :: -(-width // SAMPLES)].flatten(1).float()
    bright = some.mean(dim=0)
    ends = some.index_select(1, torch.stack([bright.argmin(), bright.argmax()])).T
    near = (some[None] - ends[..., None]).abs().amax(dim=1) <= NEAR  # dark or light in all channels
    two = (near.any(dim=0).float().mean() >= SHARE) & ((ends[1] - ends[0]).abs().amax() >= APART)
    return torch.where(two, ends, torch.full_like(ends, torch.nan))


def quantize_two_level(painted: Tensor, mask: Tensor, levels: Tensor) -> Tensor:
    """Give masked pixels of pictures with two levels the nearer one.

    Args:
        painted (Tensor): Regions ``(B, 3, h, w)``, float in [0, 1].
        mask (Tensor): ``(B, 1, h, w)`` bool.
        levels (Tensor): ``(B, 2, 3)``, see :func:`find_two_levels`.

    Returns:
        Tensor: ``(B, 3, h, w)``; regions whose levels are NaN are not changed.
    """
    dark, light = (levels[:, i, :, None, None] for i in (0, 1))
    # distances over all channels decide, so that no third colour is mixed of the two
    apart = [(painted - level).square().sum(dim=1, keepdim=True) for level in (dark, light)]
    nearest = torch.where(apart[0] < apart[1], dark, light)
    return torch.where(mask & ~nearest.isnan(), nearest, painted)
