# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from anomalib_stage.metrics.crops import REACH, cut_crops, group_by_defect
from tests.metrics.rendered import disc


def picture(*, side: int = 200) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_parts_that_stand_apart_are_anomalies_of_their_own() -> None:
    mask = disc(at=(40, 40), side=200) | disc(at=(120, 130), side=200) | disc(at=(120, 145), radius=3, side=200)
    cuts = cut_crops(picture(), mask, defect="hole", source=4)
    assert len(cuts) == 2
    assert sum(int(cut.mask.sum()) for cut in cuts) == mask.sum()
    for cut in cuts:
        top, left = cut.origin
        window = (slice(top, top + cut.mask.shape[0]), slice(left, left + cut.mask.shape[1]))
        assert np.array_equal(cut.pixels, picture()[window])
        assert not (cut.around & mask[window]).any()
        assert cut.source == 4


@pytest.mark.parametrize("at", [(0, 0), (199, 60), (100, 100)])
def test_a_cut_ends_with_the_image_and_with_its_reach(at: tuple[int, int]) -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[at] = True
    [cut] = cut_crops(picture(), mask, defect="hole")
    sides = [min(place, REACH) + 1 + min(199 - place, REACH) for place in at]
    assert cut.mask.shape == tuple(sides)
    assert cut.mask.sum() == 1
    assert cut.mask[at[0] - cut.origin[0], at[1] - cut.origin[1]]
    assert cut.around.any()


def test_surface_next_to_any_anomaly_does_not_count() -> None:
    mask = disc(at=(40, 40), side=200) | disc(at=(40, 88), side=200)
    first, second = cut_crops(picture(), mask, defect="hole")
    for cut in (first, second):
        rows, cols = np.nonzero(cut.around)
        places = np.argwhere(mask) - cut.origin
        nearest = np.abs(np.stack([rows, cols], axis=1)[:, None] - places[None]).max(axis=2).min(axis=1)
        assert nearest.min() == 3


def test_an_empty_mask_and_one_without_surface_give_no_cut() -> None:
    assert cut_crops(picture(), np.zeros((200, 200), np.bool_), defect="hole") == []
    assert cut_crops(picture(), np.ones((200, 200), np.bool_), defect="hole") == []


def test_kinds_are_sorted() -> None:
    cuts = [cut_crops(picture(), disc(side=200), defect=defect)[0] for defect in ("stain", "hole", "stain")]
    assert {defect: len(members) for defect, members in group_by_defect(cuts).items()} == {"hole": 1, "stain": 2}
