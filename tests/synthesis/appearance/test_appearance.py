# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Appearances: what is measured is what was there, and what is drawn suits the context."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.appearance import APPEARANCE_COLUMNS, compute_context, measure_appearance
from anomalib_stage.synthesis.appearance.appearance_bank import AppearanceBank, unpack_appearances
from anomalib_stage.synthesis.appearance.colour_shift import draw_colour_shift
from anomalib_stage.synthesis.appearance.contrast import compute_contrast_limits, limit_contrast
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.codec import PixelCodec

CODEC = PixelCodec(2)


def _measure(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Rows of ``APPEARANCE_COLUMNS`` of images ``(B, 3, H, W)`` in [0, 1]."""
    latent, hole = CODEC.encode(image), CODEC.encode_mask(mask)
    filled = fill_hole(latent, hole)
    return torch.cat([compute_context(filled, hole), measure_appearance(latent, hole, filled)], dim=1)


def _square(side: int, at: slice) -> torch.Tensor:
    mask = torch.zeros(1, 1, side, side, dtype=torch.bool)
    mask[..., at, at] = True
    return mask


@given(
    surface=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    body=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    size=st.integers(1, 20),
)
def test_an_even_body_on_an_even_surface_is_measured_exactly(surface: list, body: list, size: int) -> None:
    mask = _square(32, slice(5, 5 + size))
    image = torch.where(mask, torch.tensor(body).view(1, 3, 1, 1), torch.tensor(surface).view(1, 3, 1, 1))
    row = dict(zip(APPEARANCE_COLUMNS, _measure(image, mask)[0].tolist(), strict=True))
    for i, colour in enumerate("rgb"):
        assert row[f"level_{colour}"] == pytest.approx(2 * surface[i] - 1, abs=1e-4)
        assert row[f"shift_{colour}"] == pytest.approx(2 * (body[i] - surface[i]), abs=1e-4)
    assert row["size"] == pytest.approx(2 * np.log2(size), abs=1e-4)
    assert row["contrast"] < 1e-3


def test_contrast_is_the_deviation_inside_the_body() -> None:
    mask = _square(64, slice(16, 48))
    image = torch.full((1, 3, 64, 64), 0.5)
    image[..., 16:48, 16:32], image[..., 16:48, 32:48] = 0.25, 0.75
    row = _measure(image, mask)[0]
    assert row[5:8].abs().max() < 1e-4
    assert row[8].item() == pytest.approx(0.5, abs=1e-3)


def test_a_sample_is_measured_alike_alone_and_in_a_batch() -> None:
    images = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    masks = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(1)) > 0.6
    together = _measure(images, masks)
    alone = torch.cat([_measure(images[i : i + 1], masks[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@given(seed=st.integers(0, 999), wanted=st.floats(0.0, 0.5), shift=st.floats(-0.5, 0.5))
def test_an_estimate_held_to_an_appearance_has_its_colour_and_no_more_contrast(
    seed: int, wanted: float, shift: float
) -> None:
    stream = torch.Generator().manual_seed(seed)
    estimate, clean = (torch.rand(2, 12, 16, 16, generator=stream) * 2 - 1 for _ in range(2))
    mask = (torch.rand(2, 1, 16, 16, generator=stream) > 0.5).float().expand(-1, 12, -1, -1)
    filled = fill_hole(0.1 * clean, mask)
    expected = filled + mask * shift
    allowed = compute_contrast_limits(mask, expected, torch.full((2,), wanted))
    held = limit_contrast(estimate, mask, expected, allowed)
    appearances = measure_appearance(held, mask, filled)
    torch.testing.assert_close(appearances[:, :3], torch.full((2, 3), shift), atol=1e-4, rtol=0)
    uneven = measure_appearance(expected, mask, torch.zeros_like(expected))[:, 3]
    assert bool((appearances[:, 3] <= (uneven.square() + wanted**2).sqrt() + 1e-4).all())
    assert torch.equal(torch.where(mask > 0, estimate, held), estimate)
    torch.testing.assert_close(limit_contrast(held, mask, expected, allowed), held, atol=1e-4, rtol=0)


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


def test_what_is_of_another_material_has_any_colour_but_not_where_all_is_grey() -> None:
    context = np.array([-0.6, 0.1, 0.7, 6.0, -4.0], dtype=np.float32)
    shifts = [draw_colour_shift(context, rng=np.random.default_rng(seed)) for seed in range(200)]
    colours = np.stack([shift for shift in shifts if shift is not None]) + context[:3]
    assert len(colours) == 200
    assert colours.min() >= -1.0
    assert colours.max() <= 1.0
    assert set(colours.argmax(axis=1).tolist()) == {0, 1, 2}
    saturation = np.ptp(colours, axis=1) / (colours.max(axis=1) + 1.0)
    assert np.median(saturation) < 0.4
    assert saturation.max() > 0.6
    grey = np.array([0.2, 0.2, 0.2, 6.0, -4.0], dtype=np.float32)
    assert draw_colour_shift(grey, rng=np.random.default_rng(0)) is None
