# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Putting a painted region back: outside the mask the result *is* the input, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.synthesis.regions import Region

__all__ = ["composite"]


def composite(image: Tensor, painted: Tensor, *, mask: Tensor, region: Region) -> None:
    """Write the masked pixels of a painted region into an image, in place.

    Args:
        image (Tensor): Image to change, ``(3, H, W)``, any float dtype.
        painted (Tensor): Painted region, ``(3, region.height, region.width)``, float in [0, 1].
        mask (Tensor): Pixels that may change, ``(1, H, W)`` bool.
        region (Region): Where ``painted`` lies; the part over the image's border is dropped.
    """
    height, width = image.shape[-2:]
    top, left = max(region.top, 0), max(region.left, 0)
    bottom, right = min(region.top + region.height, height), min(region.left + region.width, width)
    target = image[:, top:bottom, left:right]
    inside = painted[:, top - region.top : bottom - region.top, left - region.left : right - region.left]
    target.copy_(torch.where(mask[:, top:bottom, left:right], inside.to(image.dtype), target))
