# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How far the statistics of synthetic anomalies are from those of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.crops import group_by_defect
from anomalib_stage.metrics.statistics import STATISTICS, build_feature_table
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Table = Mapping[str, NDArray[np.float64]]

__all__ = ["Gap", "average_gaps", "compare_halves", "compute_gaps", "compute_ranking_score"]

FEWEST = 5
"""Fewest anomalies on each side for a distance between their statistics."""

SPLITS = 20
"""How often real anomalies are halved for the yardstick."""

LEAST_SPREAD = 0.05
"""Least deviation of the real ones that distances are measured in."""


class Gap(NamedTuple):
    """One statistic of synthetic anomalies against that of real ones.

    Args:
        synthetic (float): Its median.
        real (float): The median of the real ones.
        distance (float): Wasserstein distance of the two distributions, in units of the real ones' deviation.
    """

    synthetic: float
    real: float
    distance: float


def compute_gaps(synthetic: Table, real: Table) -> dict[str, Gap]:
    """Compare tables of statistics.

    Args:
        synthetic (Table): Of synthetic anomalies, :func:`~anomalib_stage.metrics.statistics.build_feature_table`.
        real (Table): Of real ones.

    Returns:
        dict[str, Gap]: For each statistic; its distance is NaN where it could be measured on fewer than five anomalies
        of a side.
    """
    return {name: _compute_gap(synthetic[name], real[name]) for name in STATISTICS}


def _compute_gap(synthetic: NDArray[np.float64], real: NDArray[np.float64]) -> Gap:
    from scipy.stats import wasserstein_distance

    one, other = (values[np.isfinite(values)] for values in (synthetic, real))
    middle, usual = (float(np.median(values)) if len(values) else float("nan") for values in (one, other))
    if min(len(one), len(other)) < FEWEST:
        return Gap(middle, usual, float("nan"))
    spread = max(float(other.std()), LEAST_SPREAD)
    return Gap(middle, usual, float(wasserstein_distance(one, other)) / spread)


def average_gaps(found: Mapping[str, Gap]) -> float:
    """Return the mean distance over the statistics that could be measured; NaN if there is none."""
    distances = [gap.distance for gap in found.values() if np.isfinite(gap.distance)]
    return float(np.mean(distances)) if distances else float("nan")


def compare_halves(real: Table, *, seed: int = 0) -> dict[str, float]:
    """Distance between two random halves of the real anomalies, for each statistic: what a perfect generator would get.

    Args:
        real (Table): Statistics of real anomalies.
        seed (int): Seed of the halves.

    Returns:
        dict[str, float]: Means over 20 splits; NaN where there are too few.
    """
    count = len(next(iter(real.values())))
    rows = []
    for split in range(SPLITS):
        order = numpy_generator(seed, "halves", split).permutation(count)
        one, other = ({name: values[part] for name, values in real.items()} for part in np.array_split(order, 2))
        rows.append(compute_gaps(one, other))
    values = {name: [row[name].distance for row in rows if np.isfinite(row[name].distance)] for name in STATISTICS}
    return {name: float(np.mean(found)) if found else float("nan") for name, found in values.items()}


def compute_ranking_score(synthetic: Sequence[Crop], real: Sequence[Crop]) -> float:
    """Return how far synthetic anomalies are from real ones: smaller is better, for ranking the states of a training.

    For each defect that both have, the mean over statistics of the Wasserstein distance to the real ones; then the mean
    over defects. Defects with fewer than five anomalies on a side do not count. Cheap: some milliseconds for an
    anomaly.

    Args:
        synthetic (Sequence[Crop]): Synthetic anomalies, best in the places of the real ones: same surfaces and masks.
        real (Sequence[Crop]): Real ones.

    Returns:
        float: 0 is equal.

    Raises:
        InputError: If no defect has five anomalies on both sides.
    """
    pools = [group_by_defect(list(crops)) for crops in (synthetic, real)]
    shared = sorted(set(pools[0]) & set(pools[1]))
    found = [average_gaps(compute_gaps(*(build_feature_table(pool[defect]) for pool in pools))) for defect in shared]
    measured = [value for value in found if np.isfinite(value)]
    if not measured:
        counts = [{defect: len(crops) for defect, crops in pool.items()} for pool in pools]
        msg = f"synthetic {counts[0]} and real {counts[1]} share no defect with {FEWEST} anomalies each; give more"
        raise InputError(msg)
    return float(np.mean(measured))
