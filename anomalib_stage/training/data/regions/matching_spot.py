# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Spots in good images whose structure around a mask agrees with that around a defect.

Differences are in levels of 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["SEARCH", "SwapSearch", "find_spot"]


@dataclass(frozen=True)
class SwapSearch:
    """How a spot for a defect is looked for in good images; differences are in levels of 255.

    Attributes:
        images: Good images that are searched.
        side: Side in pixels of the part of a good image that is searched, at least three times the region's.
        ring: Width in pixels of the ring around the mask that must agree.
        smoothing: Deviation in pixels of the blur before rings are compared: grain may differ, structure may not.
        misfit: Largest deviation between rings: relative to the defect's own change, and its bounds.
        shift: How much a step of brightness that is the same in all of the ring counts.
        gain: What darkens is made at most this much stronger or weaker with the brightness of the surface.
        covered: A mask that covers more of its region than this leaves too little to compare.
    """

    images: int = 2
    side: int = 224
    ring: int = 9
    smoothing: float = 1.5
    misfit: tuple[float, float, float] = (0.2, 2.5, 14.0)
    shift: float = 0.25
    gain: float = 1.6
    covered: float = 0.6


SEARCH = SwapSearch()


def find_spot(
    part: Pixels, image: Floats, ring: Bools, *, allowed: float, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Draw one of the places whose ring agrees: found at half the resolution, and confirmed at the full one."""
    side = len(ring)
    weight = _halve(ring.astype(np.float32))
    template = _smooth(_halve(image.mean(axis=2) * ring))
    template /= np.maximum(_smooth(weight), 1e-3)
    searched = _smooth(_halve(part.astype(np.float32).mean(axis=2)))
    misfit = _compute_misfits(searched, template, weight / weight.sum())
    rows, columns = np.nonzero(misfit < allowed)
    if not len(rows):
        return None
    chosen = int(rng.integers(len(rows)))
    best, least = None, allowed
    for top in range(2 * int(rows[chosen]) - 1, 2 * int(rows[chosen]) + 2):
        for left in range(2 * int(columns[chosen]) - 1, 2 * int(columns[chosen]) + 2):
            if 0 <= top <= part.shape[0] - side and 0 <= left <= part.shape[1] - side:
                place = part[top : top + side, left : left + side].astype(np.float32)
                found = _compute_misfit(place, image, ring)
                if found < least:
                    best, least = place, found
    return best


def _halve(plane: NDArray[Any]) -> Floats:
    size = (plane.shape[1] // 2, plane.shape[0] // 2)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _smooth(plane: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), SEARCH.smoothing / 2), dtype=np.float32)


def _compute_misfits(part: Floats, template: Floats, weight: Floats) -> Floats:
    """Deviation of structure in the ring, in levels, for every place; the weights add up to one."""
    level = float(part.mean())  # differences of large squares lose digits
    part, template = part - level, template - level

    def correlate(values: Floats, weights: Floats) -> Floats:
        return np.asarray(cv2.matchTemplate(values, weights, cv2.TM_CCORR), dtype=np.float32)

    step = correlate(part, weight) - float((weight * template).sum())
    square = (
        correlate(part * part, weight) - 2 * correlate(part, weight * template) + float((weight * template**2).sum())
    )
    return np.asarray(np.sqrt(np.maximum(square - step**2, 0.0) + np.square(SEARCH.shift * step)), dtype=np.float32)


def _compute_misfit(place: Floats, image: Floats, ring: Bools) -> float:
    """Deviation of structure in the ring, in levels, for one place."""
    difference = (place - image).mean(axis=2)
    weight = cv2.GaussianBlur(ring.astype(np.float32), (0, 0), SEARCH.smoothing)
    smooth = cv2.GaussianBlur(difference * ring, (0, 0), SEARCH.smoothing) / np.maximum(weight, 1e-3)
    inside = smooth[ring]
    return float(np.sqrt(inside.var() + np.square(SEARCH.shift * inside.mean())))
