# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The surface around a hole, continued into it; and the surface in it, as it looks when it is stained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fill_hole", "texture_weight", "transfer_texture"]

COLOURS = 3
KEPT_FROM, KEPT_WHOLE = 400, 2400
"""Pixels of an anomaly from which on it keeps some of the surface's texture, and from which on the full share."""

GAIN = (0.25, 1.5)
"""Least and most change of the texture's contrast."""


def fill_hole(clean: Tensor, mask: Tensor) -> Tensor:
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


def texture_weight(mask: Tensor) -> Tensor:
    """Say how far anomalies of this size go on with the texture of the surface under them.

    A spot has a texture of its own. What covers much of a surface (a stain, worn or uneven ground) is mostly the same
    surface in another tone. The share rises with the logarithm of the pixels, from 0 at 400 to 1 at 2,400.

    Args:
        mask (Tensor): Anomaly mask, float in {0, 1}, ``(B, C, h, w)``, of latents with all cells of three colours.

    Returns:
        Tensor: ``(B,)`` in [0, 1].
    """
    pixels = (mask.flatten(1).sum(dim=1) / COLOURS).clamp_min(1.0)
    return ((pixels / KEPT_FROM).log() / math.log(KEPT_WHOLE / KEPT_FROM)).clamp(0.0, 1.0)


def transfer_texture(clean: Tensor, fill: Tensor, toned: Tensor) -> Tensor:
    """Return the surface in another tone, with its texture: reflectance scales level and texture alike.

    Args:
        clean (Tensor): Latents, in [-1, 1].
        fill (Tensor): Their smooth level, same shape.
        toned (Tensor): That level changed by the tone, same shape.

    Returns:
        Tensor: ``toned`` and the texture of ``clean``, its contrast scaled as the level is, by 0.25 to 1.5.
    """
    gain = ((1.0 + toned) / (1.0 + fill).clamp_min(1e-2)).clamp(*GAIN)
    return (toned + gain * (clean - fill)).clamp(-1.0, 1.0)
