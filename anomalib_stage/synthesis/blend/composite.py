# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Putting a painted region back: outside the mask the result *is* the input, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.synthesis.regions import find_overlap

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.synthesis.regions import Region

__all__ = ["composite"]


def composite(image: Tensor, painted: Tensor, *, mask: Tensor, region: Region) -> None:
    """Write the masked pixels of a painted region into an image, in place.

    Args:
        image (Tensor): Image to change, ``(3, H, W)``, any float dtype.
        painted (Tensor): Painted region, ``(3, region.height, region.width)``, float in [0, 1].
        mask (Tensor): Pixels of the region that may change, ``(1, region.height, region.width)`` bool.
        region (Region): Where it lies; the part over the image's border is dropped.
    """
    here, there = find_overlap(region, (image.shape[1], image.shape[2]))
    target = image[here]
    target.copy_(torch.where(mask[there], painted[there].to(image.dtype), target))
