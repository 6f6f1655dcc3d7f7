# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How a painted place ends: at the edge of its mask, or fading towards it.

A stain has no outline, and people draw masks wider than what they mark. What is painted up to the last pixel of every
mask has an edge that few real defects have, and that a segmenter learns to look for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INTACT_FADE", "feather_alpha", "feather_width"]

INTACT_FADE = 2.0
"""Pixels over which repainted intact surface goes over into the surface around."""


def feather_width(mask: NDArray[np.bool_], softness: float) -> float:
    """Return the pixels over which an anomaly fades: a share of the mask's greatest depth, so thin masks never do.

    Args:
        mask (NDArray[np.bool_]): ``(H, W)``.
        softness (float): 0: it ends at the mask's edge; 1: it is whole only where the mask is deepest.

    Returns:
        float: Pixels, 0 or more.
    """
    return softness * max(float(_measure_depth(mask).max(initial=0.0)) - 1.0, 0.0)


def feather_alpha(mask: NDArray[np.bool_], width: float) -> NDArray[np.float32]:
    """Return the share of the painted pixel in each pixel of a mask; the rest is the clean one.

    Args:
        mask (NDArray[np.bool_]): ``(H, W)``; the array's border is no edge.
        width (float): Pixels over which the share rises to 1, from the mask's edge inwards.

    Returns:
        NDArray[np.float32]: ``(H, W)``, 0 outside the mask, in (0, 1] inside.
    """
    return np.asarray(np.minimum(_measure_depth(mask) / (1.0 + width), 1.0), dtype=np.float32)


def _measure_depth(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Measure the distance to the nearest pixel outside the mask: 1 at its edge; the longer side if there is none."""
    if mask.all():
        return np.full(mask.shape, max(mask.shape), np.float32)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # the last bit of OpenCV's roots depends on where the array lies in memory; their squares are whole numbers
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64))).astype(np.float32)
