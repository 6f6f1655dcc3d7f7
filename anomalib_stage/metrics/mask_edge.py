# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What happens across the edge of a mask, against its neighbourhood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.metrics.log_ratios import compute_log_ratio, compute_rms, pair_neighbours
from anomalib_stage.metrics.pixel_group import PixelGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

__all__ = ["compare_edge"]


def compare_edge(crop: Crop, inside: PixelGroup, around: PixelGroup) -> dict[str, float]:
    """Compare what happens across the mask's edge with its neighbourhood."""
    across, beside = (np.concatenate(parts) for parts in zip(*_find_crossings(inside), strict=True))
    roughness = np.concatenate([around.compute_gradient(axis) for axis in (0, 1)])
    outside = PixelGroup(crop, ~crop.mask)
    rim = cv2.dilate(crop.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    steps = (inside.smooth(inside.grey, 1.4) - outside.smooth(inside.grey, 1.4))[rim & ~crop.mask]
    uneven = (around.smooth(around.grey, 1.4) - around.smooth(around.grey, 5.6))[crop.around]
    return {
        "seam": compute_log_ratio(float(across.mean()), float(beside.mean()))
        if min(len(across), len(beside)) >= 4
        else np.nan,
        "edge": compute_log_ratio(float(across.mean()), float(roughness.mean()))
        if len(across) and len(roughness)
        else np.nan,
        "step": compute_log_ratio(compute_rms(steps), compute_rms(uneven)) if len(steps) else np.nan,
    }


def _find_crossings(inside: PixelGroup) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield, along each axis, the gradients across the mask's edge and those of the next pairs on both sides."""
    for axis in (0, 1):
        first, second = pair_neighbours(inside.grey, axis)
        steps = np.abs(second - first)
        crossing = np.not_equal(*pair_neighbours(inside.where, axis))
        ahead, behind = pair_neighbours(crossing, axis)
        near = np.zeros_like(crossing)
        low, high = pair_neighbours(near, axis)
        low |= behind
        high |= ahead
        yield steps[crossing], steps[near & ~crossing]
