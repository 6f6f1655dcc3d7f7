# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The noise of regions, and the colour of the surface around a hole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from anomalib_stage.seeds import standard_normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.settings import NoiseSettings

__all__ = ["region_noise", "surround_fill"]

COLOURS = 3
COLOUR_SHARE = 0.5


def region_noise(shape: Sequence[int], streams: Sequence[torch.Generator], *, settings: NoiseSettings) -> Tensor:
    """Draw unit-variance Gaussian noise for latents, white or with an offset for the whole region.

    White noise has next to no mean over a body of some hundred pixels. Its faint local means are all that says whether
    the body becomes light or dark, and a small network, trained with white noise and looking no further than some ten
    pixels, paints it marbled. An offset that the whole region shares outweighs them, and makes bodies of one piece. It
    is for painting only: a network that was trained with it learns to discount it.

    Args:
        shape (Sequence[int]): Shape of one latent ``(C, h, w)``; with an offset, C is a multiple of 3 and channels lie
            as :class:`~anomalib_stage.synthesis.codec.PixelCodec` lays them: all cells of a colour side by side.
        streams (Sequence[torch.Generator]): One CPU generator for each sample.
        settings (NoiseSettings): The offset.

    Returns:
        Tensor: ``(B, C, h, w)`` float32 on the CPU, each value of mean 0 and variance 1.
    """
    noise = standard_normal(shape, streams)
    if not settings.offset:
        return noise
    levels = standard_normal((1 + COLOURS, 1, 1), streams)
    offset = settings.offset * (levels[:, :1] + COLOUR_SHARE * levels[:, 1:])
    noise += offset.repeat_interleave(shape[0] // COLOURS, dim=1)
    deviation = math.sqrt(1.0 + settings.offset**2 * (1.0 + COLOUR_SHARE**2))
    return noise / deviation


def surround_fill(clean: Tensor, mask: Tensor) -> Tensor:
    """Continue the surface around a hole smoothly into it: push-pull over a pyramid of means.

    Args:
        clean (Tensor): Latents ``(B, C, h, w)``; values under the mask are not read.
        mask (Tensor): The hole, float in {0, 1}, shape of ``clean``.

    Returns:
        Tensor: ``clean`` outside the hole, its smooth continuation inside; where a sample has no surface at all, 0.
    """
    weights = [1.0 - mask]
    values = [clean * weights[0]]
    while max(values[-1].shape[-2:]) > 1:
        size = [-(-side // 2) for side in values[-1].shape[-2:]]
        share = F.interpolate(weights[-1], size=size, mode="area")
        mean = F.interpolate(values[-1] * weights[-1], size=size, mode="area") / share.clamp_min(1e-6)
        weights.append((4.0 * share).clamp_max(1.0))
        values.append(mean)
    filled = values[-1] * (weights[-1] > 0)
    for value, weight in zip(values[-2::-1], weights[-2::-1], strict=True):
        coarse = F.interpolate(filled, size=value.shape[-2:], mode="bilinear")
        filled = weight * value + (1.0 - weight) * coarse
    return filled
