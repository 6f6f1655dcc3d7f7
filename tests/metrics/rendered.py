# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered surfaces and defects, cut out as the measures take them."""

from __future__ import annotations

import cv2
import numpy as np

from anomalib_stage.metrics.crops import Crop, cut_crops
from anomalib_stage.rendering.defects import paint_defect
from anomalib_stage.rendering.surfaces import render_surface

SIDE = 72


def surface(seed: int, *, family: str | None = "cast", side: int = SIDE) -> np.ndarray:
    """Render a surface, ``(side, side, 3)`` float32 in [0, 1]."""
    return render_surface((side, side), rng=np.random.default_rng(seed), family=family)


def disc(*, radius: int = 11, at: tuple[int, int] = (36, 36), side: int = SIDE) -> np.ndarray:
    """Mask of a disc."""
    return cv2.circle(np.zeros((side, side), np.uint8), at[::-1], radius, 1, -1) > 0


def eight_bit(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def one_cut(picture: np.ndarray, mask: np.ndarray, *, defect: str = "hole", source: int = 0) -> Crop:
    [cut] = cut_crops(picture if picture.dtype == np.uint8 else eight_bit(picture), mask, defect=defect, source=source)
    return cut


def defect(seed: int, *, defect: str = "hole", family: str = "cast", radius: int | None = None) -> Crop:
    """Render a ragged defect on a surface of its own."""
    rng = np.random.default_rng(1000 + seed)
    mask = disc(radius=radius or int(rng.integers(7, 16)))
    mask &= cv2.GaussianBlur(rng.standard_normal(mask.shape).astype(np.float32), (0, 0), 4) > -0.05
    mask[34:39, 34:39] = True
    parts = cv2.connectedComponents(mask.astype(np.uint8))[1]
    mask = parts == parts[36, 36]
    picture = paint_defect(surface(seed, family=family), mask, defect=defect, rng=rng)
    return one_cut(picture, mask, defect=defect, source=seed)
