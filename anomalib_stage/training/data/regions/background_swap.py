# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real defects on the surfaces of good images, so that a handful of them is not tied to a handful of backgrounds.

What is carried over is the defect's difference from the surface that goes on around it. The surface of the good
image, with the hole filled from around it, takes it up; level and shading are the good image's up to the mask's edge.
A spot is used only if its structure around the mask agrees with that around the defect: a gap in a conductor is never
put where no conductor is, and no seam is taught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.training.data.regions.example import extend_to_side
from anomalib_stage.training.data.regions.matching_spot import SEARCH, find_spot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.training.data.regions.matching_spot import Bools, Floats, Pixels

__all__ = ["Backgrounds"]


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
        width = 2 * SEARCH.ring + 1
        grown = cv2.dilate(mask.view(np.uint8), np.ones((width, width), np.uint8)).astype(np.bool_)
        ring = grown & ~mask
        if mask.mean() > SEARCH.covered or ring.sum() < 2 * SEARCH.ring:
            return None
        pixels = image.astype(np.float32)
        surface = _fill_surface(pixels, mask)
        change = (pixels - surface)[mask]
        relative, low, high = SEARCH.misfit
        allowed = float(np.clip(relative * np.sqrt(np.square(change).mean()), low, high))
        for _ in range(SEARCH.images):
            place = find_spot(self._cut_part(mask.shape[0], rng=rng), pixels, ring, allowed=allowed, rng=rng)
            if place is not None:
                return _add_defect(place, surface, change, mask)
        return None

    def _cut_part(self, side: int, *, rng: np.random.Generator) -> Pixels:
        """Part of a good image to search."""
        image = extend_to_side(self.images[int(rng.integers(len(self.images)))], side)
        window = []
        for size in image.shape[:2]:
            length = min(size, max(SEARCH.side, 3 * side))
            start = int(rng.integers(size - length + 1))
            window.append(slice(start, start + length))
        return image[window[0], window[1]]


def _add_defect(place: Floats, surface: Floats, change: Floats, mask: Bools) -> Pixels:
    """Change the surface of a place as the defect changed its own; what darkens takes a share of the light."""
    around = _fill_surface(place, mask)[mask]
    ratio = (float(around.mean()) + 1.0) / (float(surface[mask].mean()) + 1.0)
    gain = float(np.clip(ratio, 1 / SEARCH.gain, SEARCH.gain)) if change.mean() < 0 else 1.0
    place[mask] = np.clip(around + gain * change + 0.5, 0.0, 255.0)
    return place.astype(np.uint8)


def _fill_surface(pixels: Floats, mask: Bools) -> Floats:
    """The surface with the hole of the mask filled from around it."""
    clean = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    hole = torch.from_numpy(mask)[None, None].float().expand_as(clean)
    return np.asarray(fill_hole(clean, hole)[0].numpy().transpose(1, 2, 0), dtype=np.float32)
