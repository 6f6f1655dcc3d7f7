# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Templates: small grey pictures of what surrounded real masks, without what was in them.

A cut is one across a track, a bridge is one between two tracks. Where in the image that is differs from image to image;
what surrounds it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Grey = NDArray[np.uint8]

__all__ = ["SIDE", "SPAN", "Pose", "crop_template", "resample", "to_grey"]

SIDE = 48
"""Cells a side of a template."""

SPAN = 3.0
"""Its side, relative to the mask's longer side."""

NEAREST, REACH, FARTHEST = 1.5, 0.5, (3.0, 24.0)
"""Known pixels are at least so many from the mask (its edge is blurred, or drawn loosely), and at most this share of
its longer side, within these pixels."""


class Pose(NamedTuple):
    """How a mask lies: its longer side in pixels, by how many radians it is turned, whether it is mirrored."""

    length: float
    turn: float
    flip: bool


def to_grey(image: NDArray[np.uint8]) -> Grey:
    """Return an RGB image ``(H, W, 3)`` in grey, ``(H, W)`` uint8 in 1 to 255: 0 stands for unknown."""
    return np.maximum(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), 1).astype(np.uint8)


def crop_template(image: NDArray[np.uint8], mask: Bools) -> Grey:
    """Picture what surrounds a mask: its template.

    Args:
        image (NDArray[np.uint8]): ``(H, W, 3)`` RGB, with the defect.
        mask (NDArray[np.bool_]): ``(H, W)``, not empty.

    Returns:
        NDArray[np.uint8]: ``(48, 48)``, three times as wide as the mask is long, around the middle of its bounding box;
        0 where the mask is or was near, far from it, and outside the image.
    """
    top, left, height, width = bounding_box(mask)
    length = max(height, width)
    middle = (float(2 * top + height - 1) / 2, float(2 * left + width - 1) / 2)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    far = min(max(REACH * length, FARTHEST[0]), FARTHEST[1])
    known = (distance > NEAREST) & (distance <= far)
    cell = SPAN * length / SIDE
    # row and column of the image for each cell
    matrix = np.array([[cell, 0, middle[1] - cell * (SIDE - 1) / 2], [0, cell, middle[0] - cell * (SIDE - 1) / 2]])
    values, weights = resample(to_grey(image), known, matrix, SIDE, cell=cell)
    return np.where(weights, values.round().clip(1, 255), 0).astype(np.uint8)


def resample(
    values: Grey, known: Bools, matrix: NDArray[np.float64], side: int, *, cell: float
) -> tuple[NDArray[np.float32], Bools]:
    """Sample what is known of a picture on a grid whose cells are ``cell`` pixels wide; unknown is outside too."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = []
    for layer in (known.astype(np.float32), (values * known).astype(np.float32)):
        smooth = cv2.GaussianBlur(layer, (0, 0), 0.4 * cell) if cell > 1.0 else layer
        sampled.append(cv2.warpAffine(smooth, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT))
    share, total = sampled
    enough = np.asarray(share > 0.5)
    return np.where(enough, total / np.maximum(share, 1e-6), 0.0).astype(np.float32), enough
