# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.crops import Crop
from anomalib_stage.metrics.distances import average_gaps, compare_halves, compute_gaps, compute_ranking_score
from anomalib_stage.metrics.statistics import STATISTICS, build_feature_table
from tests.metrics.rendered import defect

REAL = [defect(seed, defect=("hole", "stain")[seed % 2]) for seed in range(40)]
FRESH = [defect(100 + seed, defect=("hole", "stain")[seed % 2]) for seed in range(40)]


def blurred(cut: Crop) -> Crop:
    soft = cv2.GaussianBlur(cut.pixels, (0, 0), 1.5)
    return cut._replace(pixels=np.where(cut.mask[..., None], soft, cut.pixels))


def test_equal_tables_have_no_distance() -> None:
    table = build_feature_table(REAL)
    found = compute_gaps(table, table)
    assert average_gaps(found) == 0.0
    assert all(gap.synthetic == gap.real for gap in found.values() if np.isfinite(gap.real))


def test_a_shift_by_one_deviation_is_a_distance_of_one() -> None:
    real = {name: np.random.default_rng(0).normal(5.0, 2.0, 400) for name in STATISTICS}
    shifted = {name: values + real[name].std() for name, values in real.items()}
    assert [gap.distance for gap in compute_gaps(shifted, real).values()] == pytest.approx([1.0] * len(STATISTICS))


def test_too_few_values_have_no_distance_but_a_median() -> None:
    few = {name: np.array([1.0, 2.0, np.nan, np.nan, np.nan, np.nan]) for name in STATISTICS}
    found = compute_gaps(few, few)["seam"]
    assert found.real == 1.5
    assert np.isnan(found.distance)
    assert np.isnan(average_gaps(compute_gaps(few, few)))
    assert all(np.isnan(value) for value in compare_halves(few).values())


def test_halves_of_real_anomalies_are_near_each_other_and_repeatable() -> None:
    table = build_feature_table(REAL)
    yardstick = compare_halves(table, seed=1)
    assert yardstick == pytest.approx(compare_halves(table, seed=1), nan_ok=True)
    assert 0.1 < np.nanmean(list(yardstick.values())) < 0.7


def test_the_ranking_prefers_what_is_painted_like_the_real_ones() -> None:
    soft = [blurred(cut) for cut in FRESH]
    faint = [cut._replace(pixels=np.where(cut.mask[..., None], cut.pixels // 4 + 96, cut.pixels)) for cut in FRESH]
    scores = [compute_ranking_score(cuts, REAL) for cuts in (REAL, FRESH, soft, faint)]
    assert scores[0] == 0.0
    assert scores[1] < 0.75 * min(scores[2:])


def test_the_ranking_needs_a_shared_kind() -> None:
    others = [cut._replace(defect="scratch") for cut in FRESH]
    with pytest.raises(InputError, match="share no defect"):
        compute_ranking_score(others, REAL)
