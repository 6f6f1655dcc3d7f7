# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of a region that a defect survives: flips, quarter turns, scale, gain and contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Bools = NDArray[np.bool_]

__all__ = ["draw_zoom", "rescale", "shift_colour", "turn"]


@dataclass(frozen=True)
class Augmentation:
    """How far a region is changed.

    Attributes:
        zoom: A region is enlarged or reduced by at most this; the surface around the defect is scaled too.
        zoomed: Share of regions that are scaled; not all, as rescaling changes the grain.
        shifted: Share of regions of another brightness and contrast.
        gain: Largest relative change of the brightness, as another exposure would make.
        contrast: Largest relative change of the deviation around the region's mean.
        covered: Share of a pixel from which on a rescaled mask holds it; the second for masks so thin that they would
            lose a fifth of their area: lines of one pixel stay whole.
    """

    zoom: float = 1.25
    zoomed: float = 0.4
    shifted: float = 0.5
    gain: float = 0.15
    contrast: float = 0.2
    covered: tuple[float, float] = (0.5, 0.35)


LIMITS = Augmentation()


def draw_zoom(rng: np.random.Generator) -> float:
    """Draw a scale in [1/1.25, 1.25]; 1 in three of five draws, as rescaling changes the grain."""
    if rng.random() >= LIMITS.zoomed:
        return 1.0
    return math.exp(rng.uniform(-math.log(LIMITS.zoom), math.log(LIMITS.zoom)))


def rescale(image: Pixels, mask: Bools, side: int) -> tuple[Pixels, Bools]:
    """Scale a square region and its mask to a side in pixels.

    Args:
        image (NDArray[np.uint8]): Region, ``(S, S, 3)``.
        mask (NDArray[np.bool_]): Mask, ``(S, S)``.
        side (int): New side.

    Returns:
        tuple[NDArray[np.uint8], NDArray[np.bool_]]: Region and mask of the new side.
    """
    if image.shape[0] == side:
        return image, mask
    way = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_LINEAR
    share = cv2.resize(mask.astype(np.float32), (side, side), interpolation=way)
    small = share >= LIMITS.covered[0]
    if small.sum() < 0.8 * mask.sum() * (side / len(mask)) ** 2:
        small = share >= LIMITS.covered[1]
    return np.asarray(cv2.resize(image, (side, side), interpolation=way), dtype=np.uint8), small


def turn(image: Pixels, mask: Bools, *, quarter: bool, rng: np.random.Generator) -> tuple[Pixels, Bools]:
    """Flip a region either way, and turn it by quarters where that is allowed.

    Args:
        image (NDArray[np.uint8]): Region, ``(S, S, 3)``.
        mask (NDArray[np.bool_]): Mask, ``(S, S)``.
        quarter (bool): Whether quarter turns are allowed.
        rng (np.random.Generator): Stream that every draw comes from.
    """
    turns = int(rng.integers(4)) if quarter else 2 * int(rng.integers(2))
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def shift_colour(image: Pixels, *, rng: np.random.Generator) -> Pixels:
    """Change brightness and contrast of every other region, as another exposure would."""
    if rng.random() >= LIMITS.shifted:
        return image
    gain = rng.uniform(1 - LIMITS.gain, 1 + LIMITS.gain)
    contrast = rng.uniform(1 - LIMITS.contrast, 1 + LIMITS.contrast)
    pixels = image.astype(np.float32)
    mean = float(pixels.mean())
    changed = gain * (mean + contrast * (pixels - mean))
    return np.asarray(np.clip(changed + 0.5, 0.0, 255.0), dtype=np.uint8)
