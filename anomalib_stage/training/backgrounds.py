# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real defects on the surfaces of good images, so that a handful of them is not tied to a handful of backgrounds.

What is carried over is the defect's difference from the surface that goes on around it. The surface of the good
image, with the hole filled from around it, takes it up; level and shading are the good image's up to the mask's edge.
A place is used only if its structure around the mask agrees with that around the defect: a gap in a conductor is never
put where no conductor is, and no seam is taught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from anomalib_stage.synthesis.surround import surround_fill
from anomalib_stage.training.example import at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["Backgrounds"]

TRIES = 8
"""Places that are looked at."""

JITTER = 6
"""How far from its own place a defect may be put in an image of the same size, in pixels."""

RING = 9
"""Width in pixels of the ring around the mask that must agree."""

SMOOTHING = 1.5
"""Deviation in pixels of the blur before rings are compared: grain may differ, structure may not."""

MISFIT = (0.2, 2.5)
"""Largest deviation between rings: relative to the defect's own change, and at least this many of 255 levels."""

GAIN = 1.6
"""A defect is made at most this much stronger or weaker with the brightness of the surface."""

MOST_COVERED = 0.6
"""A mask that covers more of its region than this leaves too little to compare."""


class Backgrounds:
    """Good images that take up defects.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
    """

    def __init__(self, images: Sequence[Pixels]) -> None:
        self.images = list(images)

    def swapped(
        self, image: Pixels, mask: Bools, *, corner: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
    ) -> Pixels | None:
        """Put the defect of a region into a good image.

        Args:
            image (NDArray[np.uint8]): Region with the defect, ``(S, S, 3)`` RGB.
            mask (NDArray[np.bool_]): Its mask, ``(S, S)``, not empty.
            corner (tuple[int, int]): Row and column of the region in its image.
            size (tuple[int, int]): Height and width of that image.
            rng (np.random.Generator): Stream that every draw comes from.

        Returns:
            NDArray[np.uint8] | None: ``(S, S, 3)``, outside the mask a region of a good image; None if no place fits.
        """
        ring = cv2.dilate(mask.view(np.uint8), np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)).astype(np.bool_) & ~mask
        if mask.mean() > MOST_COVERED or ring.sum() < 2 * RING:
            return None
        pixels = image.astype(np.float32)
        surface = _filled(pixels, mask)
        change = (pixels - surface)[mask]
        allowed = max(MISFIT[0] * float(np.sqrt(np.square(change).mean())), MISFIT[1])
        best, least = None, allowed
        for _ in range(TRIES):
            place = self._place(mask.shape[0], corner=corner, size=size, rng=rng)
            misfit = _misfit(place, pixels, ring)
            if misfit < least:
                best, least = place, misfit
        if best is None:
            return None
        around = _filled(best, mask)
        gain = float(np.clip((around[mask].mean() + 1.0) / (surface[mask].mean() + 1.0), 1 / GAIN, GAIN))
        best[mask] = np.clip(around[mask] + gain * change + 0.5, 0.0, 255.0)
        return best.astype(np.uint8)

    def _place(
        self, side: int, *, corner: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw a region of a good image: near the defect's own place, or, every other time, anywhere."""
        image = self.images[int(rng.integers(len(self.images)))]
        near = image.shape[:2] == size and rng.random() < 0.5
        image = at_least(image, side)
        limits = image.shape[0] - side, image.shape[1] - side
        if near:
            at = [
                int(np.clip(c + rng.integers(-JITTER, JITTER + 1), 0, m)) for c, m in zip(corner, limits, strict=True)
            ]
        else:
            at = [int(rng.integers(limit + 1)) for limit in limits]
        return image[at[0] : at[0] + side, at[1] : at[1] + side].astype(np.float32)


def _filled(pixels: Floats, mask: Bools) -> Floats:
    """The surface with the hole of the mask filled from around it."""
    clean = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    hole = torch.from_numpy(mask)[None, None].float().expand_as(clean)
    return surround_fill(clean, hole)[0].numpy().transpose(1, 2, 0)


def _misfit(place: Floats, image: Floats, ring: Bools) -> float:
    """Deviation of structure in the ring, in levels; the same step of brightness everywhere counts a quarter."""
    difference = (place - image).mean(axis=2)
    weight = cv2.GaussianBlur(ring.astype(np.float32), (0, 0), SMOOTHING)
    smooth = cv2.GaussianBlur(difference * ring, (0, 0), SMOOTHING) / np.maximum(weight, 1e-3)
    inside = smooth[ring]
    return float(np.sqrt(inside.var() + np.square(0.25 * inside.mean())))
