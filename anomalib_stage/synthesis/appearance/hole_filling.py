# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The surface around a hole, continued into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fill_hole"]


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
