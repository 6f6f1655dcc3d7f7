# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How alike anomalies are: diversity within a defect, and the distance of synthetic anomalies to the nearest real one.

An anomaly is compared by what lies inside its mask alone, scaled to one size and in all flips and quarter turns: on
another background, larger or mirrored, a copy stays a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Vectors = NDArray[np.float32]

__all__ = ["CopyDistance", "Nearest", "aligned", "copy_distance", "diversity"]

SIDE = 24
"""Anomalies are scaled to this side in pixels."""

TURNS = 8
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


def copy_distance(synthetic: Sequence[Crop], real: Sequence[Crop]) -> CopyDistance:
    """Look for copies: the nearest real anomaly of each synthetic one, over flips and quarter turns.

    The distance is ``sqrt(1 - r)``, where r is the correlation inside the masks (0 where it is negative); gain and
    offset of the anomaly do not count.

    Args:
        synthetic (Sequence[Cut]): Synthetic anomalies, at least one.
        real (Sequence[Cut]): The real ones that were learnt from, of at least two images.

    Returns:
        CopyDistance: Distances, and two numbers that sum them up.

    Raises:
        InputError: If there are too few.
    """
    sources = np.array([cut.source for cut in real])
    if not synthetic or len(np.unique(sources)) < 2:
        msg = (
            f"{len(synthetic)} synthetic anomalies and real ones in {len(np.unique(sources))} images; at least one "
            "synthetic anomaly and two images with real ones are needed"
        )
        raise InputError(msg)
    known = _patterns(real)
    to_real = _nearest(_patterns(synthetic), known, forbidden=None)
    to_other = _nearest(known, known, forbidden=sources[:, None] == sources[None])
    least = float(np.quantile(to_other.distance, 0.05))
    middle = float(np.median(to_other.distance))
    return CopyDistance(
        to_real,
        to_other,
        ratio=float(np.median(to_real.distance)) / max(middle, 1e-6),
        copies=float(np.mean(to_real.distance < least)),
    )


def diversity(cuts: Sequence[Crop], *, most: int = 128) -> float:
    """Return the mean distance between two anomalies of a defect, over flips and turns of one of them.

    It is the root mean square difference of their changes of the surface, in grey levels, after scaling to one size.

    Args:
        cuts (Sequence[Cut]): Anomalies of one defect.
        most (int): Most anomalies to compare, spread evenly over ``cuts``.

    Returns:
        float: 0 if all are the same; NaN for fewer than two.
    """
    if len(cuts) < 2:
        return float("nan")
    chosen = [cuts[i * len(cuts) // most] for i in range(most)] if len(cuts) > most else cuts
    changes = np.stack([_change(cut) for cut in chosen])
    plain = changes.reshape(len(changes), -1)
    lengths = np.square(plain).sum(axis=1)
    squared = np.full((len(plain),) * 2, np.inf, np.float32)
    for turn in range(TURNS):
        other = _turned(changes, turn).reshape(len(changes), -1)
        squared = np.minimum(squared, lengths[:, None] + lengths[None] - 2.0 * plain @ other.T)
    upper = np.triu_indices(len(plain), 1)
    return float(np.sqrt(np.maximum(squared[upper], 0.0) / plain.shape[1]).mean())


def aligned(cut: Crop, *, side: int = SIDE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale the square around an anomaly to one size.

    Args:
        cut (Cut): The anomaly.
        side (int): Side in pixels.

    Returns:
        tuple[NDArray[np.float32], NDArray[np.float32]]: The share of each pixel that belongs to the mask,
        ``(side, side)``, and the grey levels inside times that share: nothing of the surface around is in them.
    """
    rows, cols = (np.flatnonzero(cut.mask.any(axis=axis)) for axis in (1, 0))
    length = int(max(rows[-1] - rows[0], cols[-1] - cols[0])) + 1
    # in half pixels, so that a square has its centre where the mask's box has it, however that is turned
    top, left = (int(at[0] + at[-1] + 1) + length for at in (rows, cols))
    box = slice(top, top + 2 * length), slice(left, left + 2 * length)
    how = cv2.INTER_AREA if 2 * length > side else cv2.INTER_LINEAR
    inside = cut.mask.astype(np.float32)
    planes = [np.pad(plane, length) for plane in (inside, inside * cut.pixels.mean(axis=2, dtype=np.float32))]
    halves = [plane.repeat(2, axis=0).repeat(2, axis=1)[box] for plane in planes]
    small = [np.asarray(cv2.resize(plane, (side, side), interpolation=how), np.float32) for plane in halves]
    return small[0], small[1]


def _change(cut: Crop) -> Vectors:
    """What an anomaly changes: grey levels minus the surface's mean inside the mask, 0 outside."""
    mask, grey = aligned(cut)
    return np.asarray(grey - float(cut.pixels[cut.around].mean()) * mask, dtype=np.float32)


def _patterns(cuts: Sequence[Crop]) -> Vectors:
    """What could be copied: grey levels inside the masks, of mean 0 and length 1; ``(N, SIDE, SIDE)``."""
    found = []
    for cut in cuts:
        mask, grey = aligned(cut)
        pattern = np.asarray((grey - float(grey.sum() / mask.sum()) * mask) / 255.0, dtype=np.float32)
        if float(np.square(pattern).sum()) < EVEN:
            pattern = mask - mask.mean(dtype=np.float32) if mask.min() < 1.0 else mask
        found.append(pattern / np.sqrt(np.square(pattern).sum()))
    return np.stack(found)


def _nearest(ones: Vectors, others: Vectors, *, forbidden: NDArray[np.bool_] | None) -> Nearest:
    flat = others.reshape(len(others), -1)
    best = np.full((len(ones), len(others)), -1.0, np.float32)
    for turn in range(TURNS):
        turned = _turned(ones, turn).reshape(len(ones), -1)
        best = np.maximum(best, turned @ flat.T)
    if forbidden is not None:
        best = np.where(forbidden, -np.inf, best)
    which = best.argmax(axis=1)
    correlation = np.clip(best[np.arange(len(ones)), which], 0.0, 1.0)
    return Nearest(which, np.sqrt(1.0 - correlation))


def _turned(planes: Vectors, turn: int) -> Vectors:
    turned = np.rot90(planes, turn % 4, axes=(1, 2))
    return turned[:, :, ::-1] if turn >= 4 else turned
