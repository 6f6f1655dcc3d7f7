# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What stands out from the ground: its outline cleaned, and whether it is an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.foreground.criteria import CRITERIA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["clean_outline", "is_solid", "stands_out"]


def clean_outline(found: Bools, *, distance: Floats, threshold: float) -> Bools:
    """Drop specks and faint parts, close gaps, fill all holes but those that show the ground and are large."""
    square = np.ones((3, 3), dtype=np.uint8)
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, square)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    keep = np.zeros(count, dtype=np.bool_)
    for i in range(1, count):
        part = labels == i
        keep[i] = stats[i, cv2.CC_STAT_AREA] >= 0.001 * found.size and distance[part].max() > 1.5 * threshold
    solid: Bools = keep[labels]
    return _remove_blur(solid | _find_own_holes(solid, distance=distance, threshold=threshold), distance)


def stands_out(found: Bools, *, distance: Floats, threshold: float) -> bool:
    """Say whether the object differs enough from the ground; from an even one by less, if its outline is sharp."""
    contrast = float(np.median(distance[found]))
    if contrast < CRITERIA.contrast[0] * threshold:
        return False
    square = np.ones((5, 5), dtype=np.uint8)
    step = cv2.dilate(distance, square) - cv2.erode(distance, square)
    outline = found & (cv2.erode(found.astype(np.uint8), np.ones((3, 3), dtype=np.uint8), borderValue=1) == 0)
    sharp = bool(outline.any()) and float(np.median(step[outline])) >= CRITERIA.sharpness * contrast
    return (sharp and threshold == CRITERIA.noticeable) or contrast >= CRITERIA.contrast[1] * threshold


def is_solid(found: Bools) -> bool:
    """Say whether the object has bodies: conductors and fibres vanish where they are eroded, objects do not."""
    radius = max(round(0.025 * min(found.shape)), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    thick = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, disc)
    return float(thick.sum()) >= CRITERIA.solid * float(found.sum())


def _remove_blur(solid: Bools, distance: Floats) -> Bools:
    """Take away border cells that are more ground than object: less than half as far from it as their neighbourhood."""
    inner = cv2.erode(solid.astype(np.uint8), np.ones((3, 3), dtype=np.uint8), borderValue=1) > 0
    most = cv2.dilate(distance, np.ones((5, 5), dtype=np.uint8))
    kept: Bools = solid & (inner | (distance > 0.5 * most))
    return kept


def _find_own_holes(solid: Bools, *, distance: Floats, threshold: float) -> Bools:
    """Return the holes that belong to the object: small ones, and those that are not quite the ground."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~solid).astype(np.uint8), connectivity=4)
    border = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())
    filled = np.zeros(count, dtype=np.bool_)
    for i in range(1, count):
        if i in border or solid[labels == i].any():
            continue
        small = stats[i, cv2.CC_STAT_AREA] < 0.002 * solid.size
        filled[i] = small or float(np.median(distance[labels == i])) > 0.6 * threshold
    belongs: Bools = filled[labels]
    return belongs
