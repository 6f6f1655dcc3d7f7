# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Appearances: what is drawn suits the context."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.appearance_bank import AppearanceBank, unpack_appearances


def _row(level: float, shift: float, size: float = 6.0, roughness: float = -4.0) -> list[float]:
    return [level, level, level, size, roughness, shift, shift, shift, 0.1]


@given(level=st.floats(-1, 1), size=st.floats(0, 14), seed=st.integers(0, 99), shift=st.floats(-2, 2))
def test_the_level_of_a_drawn_anomaly_is_one_that_pixels_have(
    level: float, size: float, seed: int, shift: float
) -> None:
    bank = AppearanceBank({"hole": np.array([_row(0.3, shift)], dtype=np.float32)})
    context = np.array([level, level, level, size, -4.0], dtype=np.float32)
    appearance = bank.draw("hole", context, rng=np.random.default_rng(seed))
    assert appearance.shape == (4,)
    assert bool((np.abs(context[:3] + appearance[:3]) <= 1.0 + 1e-6).all())
    assert appearance[3] >= 0.0
    assert np.array_equal(appearance, bank.draw("hole", context, rng=np.random.default_rng(seed)))


def test_appearances_come_from_surfaces_and_masks_like_these() -> None:
    rows = np.array(
        [_row(-0.6, 0.5), _row(0.6, -0.9), _row(0.6, 0.2, size=12.0), _row(0.6, -0.3, roughness=-1.0)], dtype=np.float32
    )
    bank = AppearanceBank({"hole": rows})

    def draw(*context: float) -> set[int]:
        where = np.array(context, dtype=np.float32)
        appearances = [bank.draw("hole", where, rng=np.random.default_rng(seed))[0] for seed in range(40)]
        return {int(np.abs(rows[:, 5] - appearance).argmin()) for appearance in appearances}

    assert draw(-0.6, -0.6, -0.6, 6.0, -4.0) == {0}
    assert draw(0.55, 0.6, 0.6, 6.5, -4.2) == {1}
    assert draw(0.6, 0.6, 0.6, 12.0, -4.0) == {2}
    assert draw(0.6, 0.6, 0.6, 6.0, -1.0) == {3}


def test_appearances_that_would_not_show_are_left_to_calm_surfaces() -> None:
    rows = np.array([_row(0.0, -0.15, roughness=-3.0), _row(0.0, -0.9, roughness=-3.0)], dtype=np.float32)
    bank = AppearanceBank({"stain": rows})
    drawn = {
        roughness: [
            bank.draw("stain", np.array([0, 0, 0, 6.0, roughness], np.float32), rng=np.random.default_rng(seed))[0]
            > -0.5
            for seed in range(40)
        ]
        for roughness in (-5.0, -2.0)
    }
    assert 10 <= sum(drawn[-5.0]) <= 30
    assert sum(drawn[-2.0]) <= 4


def test_after_an_appearance_that_showed_nothing_plainer_ones_are_drawn() -> None:
    rows = np.zeros((41, 9), dtype=np.float32)
    rows[:, 5:8] = np.linspace(0.0, 0.8, 41)[:, None]  # shifts from none to plain, all else alike
    bank = AppearanceBank({"stain": rows})
    context = np.array([0, 0, 0, 0, np.log2(0.1)], np.float32)
    means = [
        np.mean([bank.draw("stain", context, rng=np.random.default_rng(s), attempt=attempt)[0] for s in range(60)])
        for attempt in range(4)
    ]
    assert means == sorted(means)
    assert means[0] < 0.55 < 0.65 < means[3]


def test_a_tiny_anomaly_is_seen_by_its_colour_for_its_contrast_cancels_out() -> None:
    rows = np.zeros((20, 9), dtype=np.float32)
    rows[::2, 8], rows[1::2, 5:8] = 0.5, 0.5  # half of them relief without shift, half shift without relief
    bank = AppearanceBank({"dent": rows})
    for pixels, share in ((4, 1.0), (400, 0.5)):
        context = np.array([0, 0, 0, np.log2(pixels), np.log2(0.05)], np.float32)
        shifts = [bank.draw("dent", context, rng=np.random.default_rng(s))[0] > 0.25 for s in range(100)]
        assert np.mean(shifts) == pytest.approx(share, abs=0.15)


def test_intact_surface_gets_the_appearances_that_it_has_whether_they_show_or_not() -> None:
    rows = np.zeros((20, 9), dtype=np.float32)
    rows[::2, 5:8] = 0.5  # half of them show, half do not
    bank, context = AppearanceBank({"good": rows}), np.array([0, 0, 0, 6, np.log2(0.05)], np.float32)
    for seen, share in ((True, 1.0), (False, 0.5)):
        shifts = [bank.draw("good", context, rng=np.random.default_rng(s), seen=seen)[0] > 0.25 for s in range(100)]
        assert np.mean(shifts) == pytest.approx(share, abs=0.15)


def test_a_defect_without_appearances_takes_those_of_the_others() -> None:
    bank = AppearanceBank({"hole": np.array([_row(0.0, -0.9)], dtype=np.float32)})
    appearance = bank.draw("rust", np.zeros(5, dtype=np.float32), rng=np.random.default_rng(0))
    assert appearance[0] < -0.5


def test_tables_are_read_and_other_arrays_are_not() -> None:
    rows = np.random.default_rng(0).random((5, 9), dtype=np.float32)
    bank = unpack_appearances({"look.a": rows[:3], "look.b": rows[3:], "prior.a": np.zeros(1)})
    assert {defect: len(part) for defect, part in bank.rows.items()} == {"a": 3, "b": 2}
    assert np.array_equal(bank.rows["b"], rows[3:])


@pytest.mark.parametrize("shape", [(9,), (2, 8), (0, 9)])
def test_a_malformed_table_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"look\.hole has shape"):
        unpack_appearances({"look.hole": np.zeros(shape, dtype=np.float32)})


def test_no_appearances_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="no look.<defect>"):
        unpack_appearances({})
