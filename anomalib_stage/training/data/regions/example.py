# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What training is made of: pictures with one anomaly and its mask, and sources that draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Example", "Source", "draw_window", "extend_to_side"]

PLACES, MOST_MASKED = 8, 0.7
"""Places drawn for a window, and the largest share of it that a mask should cover."""


@dataclass(frozen=True)
class Example:
    """A picture with an anomaly.

    Args:
        image (NDArray[np.uint8]): Whole image or region, ``(H, W, 3)`` RGB.
        mask (NDArray[np.bool_]): Anomaly mask, ``(H, W)``, not empty.
        defect (str): Defect, or ``good``.
        name (str): Name of the file without its ending, with its path where that could mean two; empty for regions.
        group (str): What it shares with other captures of the same piece; empty for regions.
        levels (tuple[int, ...]): Different values of the mask's file above 0, up to eight; empty for regions.
        orientation (int): EXIF orientation of the image's file, 1 to 8, which was not applied.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    defect: str
    name: str = ""
    group: str = ""
    levels: tuple[int, ...] = ()
    orientation: int = 1


class Source(Protocol):
    """Something that yields examples."""

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        ...


def draw_window(mask: NDArray[np.bool_], side: int, *, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a window that holds a defect, or part of one that is larger and part of the surface around it.

    A region that is painted always has a clean margin, so one that is all mask would teach what is never asked. Of up
    to eight places the first is taken whose mask is not empty and covers at most 70 % of the window, else the one with
    the smallest mask that is not empty; if all are empty (a long defect has gaps between its arms), the last.

    Args:
        mask (NDArray[np.bool_]): ``(H, W)``, both at least ``side``, not empty.
        side (int): Side of the window in pixels.
        rng (np.random.Generator): Stream that every draw comes from.

    Returns:
        tuple[slice, slice]: Rows and columns.
    """
    occupied = np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))
    best, least = (slice(0, side), slice(0, side)), np.inf
    for _ in range(PLACES):
        top, left = (_draw_start(line, side, rng=rng) for line in occupied)
        window = (slice(top, top + side), slice(left, left + side))
        share = float(mask[window].mean())
        if 0.0 < share < least or not np.isfinite(least):
            best, least = window, share or np.inf
        if least <= MOST_MASKED:
            break
    return best


def _draw_start(occupied: NDArray[np.bool_], side: int, *, rng: np.random.Generator) -> int:
    """Start of a window along an axis that holds the defect, or at least half of which lies on a longer defect."""
    at = np.flatnonzero(occupied)
    low, high = int(at[0]), int(at[-1]) + 1
    over = side // 2
    first, last = (high - side, low) if high - low <= side else (low - over, high - side + over)
    limit = len(occupied) - side
    return int(rng.integers(min(max(first, 0), limit), min(max(last, 0), limit) + 1))


def extend_to_side(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Mirror an image beyond its border where it is smaller than a region."""
    down, right = max(side - image.shape[0], 0), max(side - image.shape[1], 0)
    if not down and not right:
        return image
    border = (down // 2, down - down // 2, right // 2, right - right // 2)
    return np.asarray(cv2.copyMakeBorder(image, *border, cv2.BORDER_REFLECT), dtype=np.uint8)
