# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which statistics give repainted surface away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalib_stage.metrics.statistics import STATISTICS, build_feature_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Numbers = NDArray[np.float64]

__all__ = ["Trace", "build_rows", "compute_auroc", "measure_univariate_traces", "score_by_regression"]


FEWEST = 10
"""Fewest regions that a statistic must be measured on before it counts."""


class Trace(NamedTuple):
    """How far one statistic gives repainted surface away.

    Args:
        auroc (float): Of the statistic or of its distance from the usual, whichever tells more; 0.5 is chance.
        repainted (float): Its median on repainted regions.
        untouched (float): Its median on the same regions before.
    """

    auroc: float
    repainted: float
    untouched: float


def compute_auroc(positive: Numbers, negative: Numbers) -> float:
    """Return the share of pairs in which the positive value is the larger one, ties by half; NaN if there is none."""
    if not len(positive) or not len(negative):
        return float("nan")
    return float(np.mean(0.5 * (np.sign(positive[:, None] - negative[None]) + 1.0)))


def measure_univariate_traces(repainted: Sequence[Crop], untouched: Sequence[Crop]) -> dict[str, Trace]:
    """Ask of each statistic alone how far it gives repainted surface away.

    Args:
        repainted (Sequence[Crop]): Regions whose masked area was painted again as good surface.
        untouched (Sequence[Crop]): The same regions as they were.

    Returns:
        dict[str, Trace]: For each of :data:`~anomalib_stage.metrics.statistics.STATISTICS` that could be measured
        on ten regions; the most telling first.
    """
    one, other = build_feature_table(repainted), build_feature_table(untouched)
    found = {}
    for name in STATISTICS:
        both = np.isfinite(one[name]) & np.isfinite(other[name])
        if both.sum() >= FEWEST:
            found[name] = _measure_trace(one[name][both], other[name][both])
    return dict(sorted(found.items(), key=lambda item: -item[1].auroc))


def _measure_trace(repainted: Numbers, untouched: Numbers) -> Trace:
    usual = float(np.median(untouched))
    side = compute_auroc(repainted, untouched)
    far = compute_auroc(np.abs(repainted - usual), np.abs(untouched - usual))
    return Trace(max(side, 1.0 - side, far, 1.0 - far), float(np.median(repainted)), usual)


def build_rows(crops: Sequence[Crop]) -> Numbers:
    """Measure crops: ``(N, S)``, a column for each of the statistics."""
    return np.stack(list(build_feature_table(crops).values()), axis=1)


def score_by_regression(rows: Sequence[Numbers], seen: NDArray[np.intp], asked: NDArray[np.intp]) -> float:
    """AUROC of a logistic regression on the statistics and on their distances from the usual."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    measured = [column[np.isfinite(column)] for column in rows[1][seen].T]
    usual = np.array([np.median(column) if len(column) else 0.0 for column in measured])
    off = [np.where(np.isfinite(part), part - usual, 0.0) for part in rows]
    features = [np.concatenate([part, np.abs(part)], axis=1) for part in off]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(np.concatenate([part[seen] for part in features]), np.repeat([1, 0], len(seen)))
    one, other = (model.decision_function(part[asked]) for part in features)
    return compute_auroc(one, other)
