# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The ground: a smooth surface in CIE Lab, fitted robustly to a strip along the border."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.foreground.criteria import CRITERIA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["fit_ground", "is_one_ground"]


def fit_ground(lab: Floats, ring: Bools) -> tuple[Floats, float, float]:
    """Fit the ground to the strip along the border.

    Returns:
        tuple[Floats, float, float]: The ground's colour everywhere, the deviation of what belongs to it, and the share
        of the strip that belongs to it.
    """
    height, width = ring.shape
    y, x = np.mgrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    basis, seen = terms[ring], lab[ring].astype(np.float64)
    # start from the commonest colour, then a plane, then the full surface, each time on what lies near the last
    near = np.square(seen - _find_commonest(seen)).sum(axis=1) < 15.0**2
    fit = np.zeros((6, 3))
    residual = np.zeros(len(seen))
    for count, reach in ((3, 12.0), (3, 9.0), (6, 8.0), (6, CRITERIA.noticeable)):
        if near.sum() < 4 * count:
            return lab, float("inf"), 0.0
        fit[:] = 0.0
        fit[:count] = np.linalg.lstsq(basis[near, :count], seen[near], rcond=None)[0]
        residual = np.sqrt(np.square(seen - basis @ fit).sum(axis=1))
        near = residual < reach
    roughness = float(np.sqrt(np.square(residual[near]).mean())) if near.any() else float("inf")
    # a corner that the strip does not show may not be far from every colour that it does show
    ground = np.clip(terms @ fit, seen[near].min(axis=0) - 3.0, seen[near].max(axis=0) + 3.0)
    return ground.astype(np.float32), roughness, float(near.mean())


def is_one_ground(ground: Bools, ring: Bools) -> bool:
    """Say whether the ground along the border hangs together: a texture's does not, nor does that of conductors."""
    count, labels = cv2.connectedComponents(ground.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels[ring & ground], minlength=count)[1:]
    if not len(sizes) or not sizes.sum():
        return False
    at_border = np.bincount(labels[ground], minlength=count)[1:][sizes > 0]
    return bool(np.sort(at_border)[::-1][:3].sum() >= 0.9 * ground.sum())


def _find_commonest(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean colour of the fullest cell of a coarse histogram."""
    cells = np.floor(colours / 12.0).astype(np.int64)
    _, where, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    mean: NDArray[np.float64] = colours[where.reshape(-1) == int(counts.argmax())].mean(axis=0)
    return mean
