# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How near synthetic anomalies are to the real ones: copies.

An anomaly is compared by what lies inside its mask alone, scaled to one size and in all flips and quarter turns: on
another background, larger or mirrored, a copy stays a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.alignment import TURNS, align_anomaly, turn_planes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.alignment import Vectors
    from anomalib_stage.metrics.crops import Crop

__all__ = ["CopyDistance", "Nearest", "measure_copy_distance"]


EVEN = 1e-3
"""Squared length below which an anomaly counts as even: there is nothing to copy but its outline."""


class Nearest(NamedTuple):
    """The nearest of some anomalies, for each of some others.

    Args:
        which (NDArray[np.intp]): ``(N,)``, its position.
        distance (NDArray[np.float32]): ``(N,)``, its distance: 0 the same, 1 unrelated.
    """

    which: NDArray[np.intp]
    distance: NDArray[np.float32]


class CopyDistance(NamedTuple):
    """Distances of synthetic anomalies to real ones.

    Args:
        synthetic (Nearest): For each synthetic anomaly the nearest real one.
        real (Nearest): For each real anomaly the nearest real one of another piece; the yardstick.
        ratio (float): Median distance of the synthetic ones over that of the real ones: far below 1 is a copier.
        copies (float): Share of synthetic anomalies that are nearer to a real one than 95 % of the real ones are to
            each other; about 0.05 where nothing is copied.
    """

    synthetic: Nearest
    real: Nearest
    ratio: float
    copies: float


def measure_copy_distance(synthetic: Sequence[Crop], real: Sequence[Crop]) -> CopyDistance:
    """Look for copies: the nearest real anomaly of each synthetic one, over flips and quarter turns.

    The distance is ``sqrt(1 - r)``, where r is the correlation inside the masks (0 where it is negative); gain and
    offset of the anomaly do not count.

    Args:
        synthetic (Sequence[Crop]): Synthetic anomalies, at least one.
        real (Sequence[Crop]): The real ones that were learnt from, of at least two images.

    Returns:
        CopyDistance: Distances, and two numbers that sum them up.

    Raises:
        InputError: If there are too few.
    """
    sources = np.array([crop.source for crop in real])
    if not synthetic or len(np.unique(sources)) < 2:
        msg = (
            f"{len(synthetic)} synthetic anomalies and real ones in {len(np.unique(sources))} images; at least one "
            "synthetic anomaly and two images with real ones are needed"
        )
        raise InputError(msg)
    known = _build_patterns(real)
    to_real = _find_nearest(_build_patterns(synthetic), known, forbidden=None)
    to_other = _find_nearest(known, known, forbidden=sources[:, None] == sources[None])
    least = float(np.quantile(to_other.distance, 0.05))
    middle = float(np.median(to_other.distance))
    return CopyDistance(
        to_real,
        to_other,
        ratio=float(np.median(to_real.distance)) / max(middle, 1e-6),
        copies=float(np.mean(to_real.distance < least)),
    )


def _build_patterns(crops: Sequence[Crop]) -> Vectors:
    """What could be copied: grey levels inside the masks, of mean 0 and length 1; ``(N, SIDE, SIDE)``."""
    found = []
    for crop in crops:
        mask, grey = align_anomaly(crop)
        pattern = np.asarray((grey - float(grey.sum() / mask.sum()) * mask) / 255.0, dtype=np.float32)
        if float(np.square(pattern).sum()) < EVEN:
            pattern = mask - mask.mean(dtype=np.float32) if mask.min() < 1.0 else mask
        found.append(pattern / np.sqrt(np.square(pattern).sum()))
    return np.stack(found)


def _find_nearest(ones: Vectors, others: Vectors, *, forbidden: NDArray[np.bool_] | None) -> Nearest:
    flat = others.reshape(len(others), -1)
    best = np.full((len(ones), len(others)), -1.0, np.float32)
    for turn in range(TURNS):
        turned = turn_planes(ones, turn).reshape(len(ones), -1)
        best = np.maximum(best, turned @ flat.T)
    if forbidden is not None:
        best = np.where(forbidden, -np.inf, best)
    which = best.argmax(axis=1)
    correlation = np.clip(best[np.arange(len(ones)), which], 0.0, 1.0)
    return Nearest(which, np.sqrt(1.0 - correlation))
