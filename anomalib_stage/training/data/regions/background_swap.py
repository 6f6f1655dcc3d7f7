# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real defects on the surfaces of good images, so that a handful of them is not tied to a handful of backgrounds.

What is carried over is the defect's difference from the surface that goes on around it. The surface of the good
image, with the hole filled from around it, takes it up; level and shading are the good image's up to the mask's edge.
A place is used only if its structure around the mask agrees with that around the defect: a gap in a conductor is never
put where no conductor is, and no seam is taught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.training.data.regions.example import extend_to_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["Backgrounds"]

TRIES = 2
"""Good images that are searched for a place."""

SEARCHED = 224
"""Side in pixels of the part of a good image that is searched, at least three times the region's."""

RING = 9
"""Width in pixels of the ring around the mask that must agree."""

SMOOTHING = 1.5
"""Deviation in pixels of the blur before rings are compared: grain may differ, structure may not."""

MISFIT = (0.2, 2.5, 14.0)
"""Largest deviation between rings: relative to the defect's own change, and its bounds in levels of 255."""

SHIFT = 0.25
"""How much a step of brightness that is the same in all of the ring counts."""

GAIN = 1.6
"""What darkens is made at most this much stronger or weaker with the brightness of the surface."""

MOST_COVERED = 0.6
"""A mask that covers more of its region than this leaves too little to compare."""


class Backgrounds:
    """Good images that take up defects.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
    """

    def __init__(self, images: Sequence[Pixels]) -> None:
        self.images = list(images)

    def swap_background(self, image: Pixels, mask: Bools, *, rng: np.random.Generator) -> Pixels | None:
        """Put the defect of a region into a good image.

        Args:
            image (NDArray[np.uint8]): Region with the defect, ``(S, S, 3)`` RGB.
            mask (NDArray[np.bool_]): Its mask, ``(S, S)``, not empty.
            rng (np.random.Generator): Stream that every draw comes from.

        Returns:
            NDArray[np.uint8] | None: ``(S, S, 3)``, outside the mask a region of a good image; None if no place fits.
        """
        ring = cv2.dilate(mask.view(np.uint8), np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)).astype(np.bool_) & ~mask
        if mask.mean() > MOST_COVERED or ring.sum() < 2 * RING:
            return None
        pixels = image.astype(np.float32)
        surface = fill_surface(pixels, mask)
        change = (pixels - surface)[mask]
        relative, low, high = MISFIT
        allowed = float(np.clip(relative * np.sqrt(np.square(change).mean()), low, high))
        for _ in range(TRIES):
            place = find_spot(self._cut_part(mask.shape[0], rng=rng), pixels, ring, allowed=allowed, rng=rng)
            if place is not None:
                return _add_defect(place, surface, change, mask)
        return None

    def _cut_part(self, side: int, *, rng: np.random.Generator) -> Pixels:
        """Part of a good image to search."""
        image = extend_to_side(self.images[int(rng.integers(len(self.images)))], side)
        window = []
        for size in image.shape[:2]:
            length = min(size, max(SEARCHED, 3 * side))
            start = int(rng.integers(size - length + 1))
            window.append(slice(start, start + length))
        return image[window[0], window[1]]


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
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), SMOOTHING / 2), dtype=np.float32)


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
    return np.asarray(np.sqrt(np.maximum(square - step**2, 0.0) + np.square(SHIFT * step)), dtype=np.float32)


def _compute_misfit(place: Floats, image: Floats, ring: Bools) -> float:
    """Deviation of structure in the ring, in levels, for one place."""
    difference = (place - image).mean(axis=2)
    weight = cv2.GaussianBlur(ring.astype(np.float32), (0, 0), SMOOTHING)
    smooth = cv2.GaussianBlur(difference * ring, (0, 0), SMOOTHING) / np.maximum(weight, 1e-3)
    inside = smooth[ring]
    return float(np.sqrt(inside.var() + np.square(SHIFT * inside.mean())))


def _add_defect(place: Floats, surface: Floats, change: Floats, mask: Bools) -> Pixels:
    """Change the surface of a place as the defect changed its own; what darkens takes a share of the light."""
    around = fill_surface(place, mask)[mask]
    ratio = (float(around.mean()) + 1.0) / (float(surface[mask].mean()) + 1.0)
    gain = float(np.clip(ratio, 1 / GAIN, GAIN)) if change.mean() < 0 else 1.0
    place[mask] = np.clip(around + gain * change + 0.5, 0.0, 255.0)
    return place.astype(np.uint8)


def fill_surface(pixels: Floats, mask: Bools) -> Floats:
    """The surface with the hole of the mask filled from around it."""
    clean = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    hole = torch.from_numpy(mask)[None, None].float().expand_as(clean)
    return np.asarray(fill_hole(clean, hole)[0].numpy().transpose(1, 2, 0), dtype=np.float32)
