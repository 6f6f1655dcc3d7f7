# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The softness of edges is found again where real defects have it, also in masks that are drawn too wide."""

from __future__ import annotations

import numpy as np
import pytest

from anomalib_stage.metrics.crops import Crop, cut_crops
from anomalib_stage.synthesis.blend.feather import feather_alpha, feather_width
from anomalib_stage.training.measure.softness import Painted, measure_softness, soften


def _pair(seed: int, *, radius: int, change: float) -> Painted:
    rng = np.random.default_rng(seed)
    before = np.clip(120 + 4 * rng.standard_normal((96, 96, 1)), 0, 255).round().astype(np.uint8).repeat(3, axis=2)
    rows, cols = np.mgrid[:96, :96]
    mask = (rows - 48) ** 2 + (cols - 44) ** 2 < radius**2
    after = np.where(mask[..., None], np.clip(before + change, 0, 255), before).round().astype(np.uint8)
    return Painted(before, after, mask, "stain", seed)


def _real(count: int, *, softness: float) -> list[Crop]:
    found = []
    for i in range(count):
        one = _pair(100 + i, radius=12 + i, change=-45.0 + 2 * i)
        found += soften(one, softness)
    return found


@pytest.mark.parametrize("softness", [0.0, 0.2, 0.5, 1.0])
def test_softness_is_found_again(softness: float):
    painted = [_pair(i, radius=11 + i, change=-40.0) for i in range(8)]
    assert measure_softness(painted, _real(8, softness=softness)) == pytest.approx(softness, abs=0.26)


def test_too_few_or_too_small_defects_stay_hard():
    painted = [_pair(i, radius=12, change=-40.0) for i in range(8)]
    assert measure_softness(painted, _real(2, softness=1.0)) == 0.0
    small = [_pair(i, radius=4, change=-40.0) for i in range(8)]
    assert measure_softness(small, _real(8, softness=1.0)) == 0.0
    assert measure_softness([], _real(8, softness=1.0)) == 0.0
    board = [one._replace(before=np.where(one.before > 120, 255, 0).astype(np.uint8)) for one in painted]
    assert measure_softness(board, _real(8, softness=1.0)) == 0.0


def test_softened_pictures_are_clean_outside_and_hard_at_zero():
    one = _pair(3, radius=16, change=30.0)
    [hard] = soften(one, 0.0)
    [same] = cut_crops(one.after, one.mask, defect="stain", source=3)
    assert np.array_equal(hard.pixels, same.pixels)
    [soft] = soften(one, 1.0)
    [clean] = cut_crops(one.before, one.mask, defect="stain", source=3)
    assert np.array_equal(soft.pixels[~soft.mask], clean.pixels[~soft.mask])
    share = feather_alpha(one.mask, feather_width(one.mask, 1.0))
    assert float(np.abs(soft.pixels.astype(float) - clean.pixels).sum()) == pytest.approx(
        30.0 * 3 * float(share.sum()), rel=0.02
    )
