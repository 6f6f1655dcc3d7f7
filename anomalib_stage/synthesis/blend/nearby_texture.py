# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The texture of a surface near a mask, which can hide an anomaly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AROUND", "FINE", "average", "measure_nearby_texture"]

FINE, COARSE = 3, 9
"""Sides in pixels of the windows between whose means the surface's own texture is measured."""

AROUND = 16
"""The texture that can hide an anomaly lies within this many pixels of it."""


def measure_nearby_texture(clean: Tensor, mask: Tensor) -> Tensor:
    """Measure the texture that can hide an anomaly: its deviation between 3 and 9 px, within 16 px of the mask's box.

    Args:
        clean (Tensor): Clean surface ``(B, 3, H, W)``, float in [0, 1], best 16 px wider than the masks' boxes.
        mask (Tensor): Anomaly masks ``(B, 1, H, W)`` bool.

    Returns:
        Tensor: ``(B,)``, that of the channel where it is largest; 0 where the mask is empty.
    """
    near = _find_boxes(mask.to(clean.dtype))
    texture = (average(clean, FINE) - average(clean, COARSE)).square() * near
    return (texture.sum(dim=(2, 3)) / near.sum(dim=(2, 3)).clamp_min(1.0)).amax(dim=1).sqrt()


def average(images: Tensor, side: int) -> Tensor:
    """Average ``(B, C, H, W)`` over ``side`` x ``side`` windows, mirrored at the border."""
    padding = (side // 2,) * 4
    return F.avg_pool2d(F.pad(images, padding, mode="reflect"), side, stride=1)


def _find_boxes(inside: Tensor) -> Tensor:
    """Return the boxes of masks ``(B, 1, H, W)``, wider by ``AROUND`` px on all sides, as 0 and 1."""
    rows, columns = (
        F.max_pool1d(_fill_gaps(inside.amax(dim=across)), 2 * AROUND + 1, stride=1, padding=AROUND) for across in (3, 2)
    )
    return rows.unsqueeze(3) * columns.unsqueeze(2)


def _fill_gaps(line: Tensor) -> Tensor:
    """Fill the gaps between the first and the last 1 of rows ``(B, 1, N)``."""
    return line.cummax(dim=2).values * line.flip(2).cummax(dim=2).values.flip(2)
