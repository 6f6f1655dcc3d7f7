# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Crops: the pixels around one anomaly, real or synthetic, in the image's own resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REACH", "Crop", "cut_crops", "group_by_defect"]

REACH = 16
"""An anomaly is compared with the surface within this many pixels."""

APART = 24
"""Parts of a mask that are at least about this many pixels apart are anomalies of their own."""

CLEAR = 2
"""Pixels next to a mask that do not count as surface: masks drawn by people are not exact."""


class Crop(NamedTuple):
    """One anomaly with the surface around it.

    Args:
        pixels (NDArray[np.uint8]): ``(H, W, 3)`` RGB, at most ``REACH`` px around the mask's box, inside the image.
        mask (NDArray[np.bool_]): ``(H, W)``, the anomaly, not empty.
        around (NDArray[np.bool_]): ``(H, W)``, the surface to compare with, not empty.
        defect (str): Defect, or ``good``.
        origin (tuple[int, int]): Row and column of the first pixel in the image.
        source (int): Number of the image, or of the piece that it shows.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    around: NDArray[np.bool_]
    defect: str
    origin: tuple[int, int]
    source: int


def cut_crops(image: NDArray[np.uint8], mask: NDArray[np.bool_], *, defect: str, source: int = 0) -> list[Crop]:
    """Cut out every anomaly of an image.

    Two images with the same mask give crops of the same places in the same order.

    Args:
        image (NDArray[np.uint8]): ``(H, W, 3)`` RGB.
        mask (NDArray[np.bool_]): ``(H, W)``; empty: no crop.
        defect (str): Defect, or ``good``.
        source (int): Number of the image.

    Returns:
        list[Crop]: One for each part of the mask that stands apart; none for a part with no surface around it.
    """
    inside = mask.astype(np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(inside, np.ones((APART, APART), np.uint8)))
    touched = cv2.dilate(inside, np.ones((2 * CLEAR + 1,) * 2, np.uint8)) > 0
    crops = []
    for label in range(1, count):
        part = mask & (labels == label)
        if not part.any():
            continue
        box = tuple(_find_span(part.any(axis=1 - axis)) for axis in (0, 1))
        around = cv2.dilate(part[box].astype(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8)) > 0
        around &= ~touched[box]
        if around.any():
            origin = (box[0].start, box[1].start)
            crops.append(Crop(np.ascontiguousarray(image[box]), part[box], around, defect, origin, source))
    return crops


def _find_span(occupied: NDArray[np.bool_]) -> slice:
    at = np.flatnonzero(occupied)
    return slice(max(int(at[0]) - REACH, 0), min(int(at[-1]) + 1 + REACH, len(occupied)))


def group_by_defect(crops: list[Crop]) -> dict[str, list[Crop]]:
    """Sort crops into defects, in alphabetical order."""
    return {
        defect: [crop for crop in crops if crop.defect == defect] for defect in sorted({crop.defect for crop in crops})
    }
