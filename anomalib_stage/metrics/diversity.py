# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How alike the anomalies of a defect are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.metrics.alignment import TURNS, align_anomaly, turn_planes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.metrics.alignment import Vectors
    from anomalib_stage.metrics.crops import Crop

__all__ = ["compute_diversity"]


def compute_diversity(crops: Sequence[Crop], *, most: int = 128) -> float:
    """Return the mean distance between two anomalies of a defect, over flips and turns of one of them.

    It is the root mean square difference of their changes of the surface, in grey levels, after scaling to one size.

    Args:
        crops (Sequence[Crop]): Anomalies of one defect.
        most (int): Most anomalies to compare, spread evenly over ``crops``.

    Returns:
        float: 0 if all are the same; NaN for fewer than two.
    """
    if len(crops) < 2:
        return float("nan")
    chosen = [crops[i * len(crops) // most] for i in range(most)] if len(crops) > most else crops
    changes = np.stack([_compute_change(crop) for crop in chosen])
    plain = changes.reshape(len(changes), -1)
    lengths = np.square(plain).sum(axis=1)
    squared = np.full((len(plain),) * 2, np.inf, np.float32)
    for turn in range(TURNS):
        other = turn_planes(changes, turn).reshape(len(changes), -1)
        squared = np.minimum(squared, lengths[:, None] + lengths[None] - 2.0 * plain @ other.T)
    upper = np.triu_indices(len(plain), 1)
    return float(np.sqrt(np.maximum(squared[upper], 0.0) / plain.shape[1]).mean())


def _compute_change(crop: Crop) -> Vectors:
    """What an anomaly changes: grey levels minus the surface's mean inside the mask, 0 outside."""
    mask, grey = align_anomaly(crop)
    return np.asarray(grey - float(crop.pixels[crop.around].mean()) * mask, dtype=np.float32)
