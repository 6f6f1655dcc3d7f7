# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Anomalies scaled to one size, whatever their size, place and orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Vectors = NDArray[np.float32]

__all__ = ["TURNS", "align_anomaly", "turn_planes"]


SIDE = 24
"""Anomalies are scaled to this side in pixels."""

TURNS = 8


def align_anomaly(crop: Crop, *, side: int = SIDE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale the square around an anomaly to one size.

    Args:
        crop (Crop): The anomaly.
        side (int): Side in pixels.

    Returns:
        tuple[NDArray[np.float32], NDArray[np.float32]]: The share of each pixel that belongs to the mask,
        ``(side, side)``, and the grey levels inside times that share: nothing of the surface around is in them.
    """
    rows, cols = (np.flatnonzero(crop.mask.any(axis=axis)) for axis in (1, 0))
    length = int(max(rows[-1] - rows[0], cols[-1] - cols[0])) + 1
    # in half pixels, so that a square has its centre where the mask's box has it, however that is turned
    top, left = (int(at[0] + at[-1] + 1) + length for at in (rows, cols))
    box = slice(top, top + 2 * length), slice(left, left + 2 * length)
    how = cv2.INTER_AREA if 2 * length > side else cv2.INTER_LINEAR
    inside = crop.mask.astype(np.float32)
    planes = [np.pad(plane, length) for plane in (inside, inside * crop.pixels.mean(axis=2, dtype=np.float32))]
    halves = [plane.repeat(2, axis=0).repeat(2, axis=1)[box] for plane in planes]
    small = [np.asarray(cv2.resize(plane, (side, side), interpolation=how), np.float32) for plane in halves]
    return small[0], small[1]


def turn_planes(planes: Vectors, turn: int) -> Vectors:
    """Flip and turn squares ``(N, S, S)`` by quarters: number ``turn`` of eight ways."""
    turned = np.rot90(planes, turn % 4, axes=(1, 2))
    return turned[:, :, ::-1] if turn >= 4 else turned
