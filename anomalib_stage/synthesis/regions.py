# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Regions: the window around a mask, at native resolution, in which an anomaly is painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import NDArray
    from torch import Tensor

    Window = tuple[EllipsisType, slice, slice]

__all__ = [
    "MIN_IMAGE_SIDE",
    "Region",
    "bounding_box",
    "choose_side",
    "crop",
    "find_overlap",
    "find_region",
    "mirror_indices",
]

MIN_IMAGE_SIDE = 32
"""Smallest image side in pixels that can be synthesized on."""

LADDER = (32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512)
"""Sides of a region in pixels; beyond the last, multiples of 128. Few sizes, so that regions share a denoiser call."""


@dataclass(frozen=True)
class Region:
    """A window of an image in pixels. It may reach over the image's border; there it shows the mirrored image."""

    top: int
    left: int
    height: int
    width: int

    def widen(self, by: int) -> Region:
        """Return the region with ``by`` pixels more on all sides."""
        return Region(self.top - by, self.left - by, self.height + 2 * by, self.width + 2 * by)


def bounding_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the bounding box of a mask ``(H, W)`` that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


def choose_side(length: int, *, margin: int) -> int:
    """Return the smallest side of the ladder that holds ``length`` pixels and ``margin`` on both ends."""
    wanted = length + 2 * margin
    return next((side for side in LADDER if side >= wanted), -(-wanted // 128) * 128)


def find_region(mask: NDArray[np.bool_], *, margin: int) -> Region:
    """Return the region in which to paint a mask: its bounding box and a margin, moved inside the image where it fits.

    Args:
        mask (NDArray[np.bool_]): Anomaly mask, ``(H, W)``.
        margin (int): Clean surface around the mask's bounding box, in pixels.

    Returns:
        Region: Window that holds every pixel of the mask; its sides come from a short ladder, 48 px the smallest.

    Raises:
        InputError: If the mask is empty.
    """
    if not mask.any():
        msg = f"mask of shape {mask.shape} is empty; give a mask with at least one pixel"
        raise InputError(msg)
    box_top, box_left, box_height, box_width = bounding_box(mask)
    top, height = _place_interval(box_top, box_top + box_height, mask.shape[0], margin)
    left, width = _place_interval(box_left, box_left + box_width, mask.shape[1], margin)
    return Region(top, left, height, width)


def _place_interval(low: int, high: int, size: int, margin: int) -> tuple[int, int]:
    side = choose_side(high - low, margin=margin)
    start = (low + high - side) // 2
    if side <= size:
        return min(max(start, 0), size - side), side
    return (size - side) // 2, side


def crop(image: Tensor, region: Region) -> Tensor:
    """Cut a region out of an image; parts outside the image are mirrored at its border.

    Args:
        image (Tensor): ``(..., H, W)``, any dtype.
        region (Region): Window in pixels.

    Returns:
        Tensor: ``(..., region.height, region.width)``, a view where the region lies inside the image.
    """
    height, width = image.shape[-2:]
    if 0 <= region.top <= height - region.height and 0 <= region.left <= width - region.width:
        return image[..., region.top : region.top + region.height, region.left : region.left + region.width]
    rows = mirror_indices(region.top, region.height, height).to(image.device)
    cols = mirror_indices(region.left, region.width, width).to(image.device)
    return image.index_select(-2, rows).index_select(-1, cols)


def find_overlap(region: Region, size: tuple[int, int]) -> tuple[Window, Window]:
    """Return the window of an image that a region covers, and the window of the region that lies in the image.

    Args:
        region (Region): Where it lies.
        size (tuple[int, int]): Height and width of the image in pixels.

    Returns:
        tuple[Window, Window]: Indices into ``(..., H, W)`` and into ``(..., region.height, region.width)``.
    """
    top, left = max(region.top, 0), max(region.left, 0)
    bottom, right = min(region.top + region.height, size[0]), min(region.left + region.width, size[1])
    rows, columns = slice(top - region.top, bottom - region.top), slice(left - region.left, right - region.left)
    return (..., slice(top, bottom), slice(left, right)), (..., rows, columns)


def mirror_indices(start: int, length: int, size: int) -> Tensor:
    """Return int64 indices ``start .. start+length`` into an axis of ``size``, mirrored; its border is not repeated."""
    period = max(2 * size - 2, 1)
    index = torch.arange(start, start + length).remainder(period)
    return torch.where(index < size, index, period - index)
