# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a real defect goes through in training: it survives, and so does its mask."""

from __future__ import annotations

import numpy as np
import pytest

from anomalib_stage.training.data.orientation import find_directed_defects, has_direction
from anomalib_stage.training.data.regions.augment import draw_zoom, rescale, shift_colour, turn
from anomalib_stage.training.data.regions.background_swap import Backgrounds
from anomalib_stage.training.data.regions.example import Example


def _region(side: int = 64, *, level: int = 100, defect: int = 40) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(side).integers(level - 5, level + 6, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), np.bool_)
    mask[20:34, 24:44] = True
    image[mask] = defect
    return image, mask


@pytest.mark.parametrize("quarter", [True, False])
def test_turns_move_mask_and_image_together_and_quarter_turns_can_be_forbidden(quarter: bool) -> None:
    image, mask = _region()
    shapes = set()
    for seed in range(40):
        other, moved = turn(image, mask, quarter=quarter, rng=np.random.default_rng(seed))
        assert (other[moved] == 40).all()
        assert (other[~moved] > 90).all()
        shapes.add((int(moved.any(axis=1).sum()), int(moved.any(axis=0).sum())))
    assert shapes == ({(14, 20), (20, 14)} if quarter else {(14, 20)})


@pytest.mark.parametrize("side", [51, 58, 72, 80])
@pytest.mark.parametrize("width", [1, 2, 14])
def test_a_rescaled_mask_keeps_its_share_of_the_region(side: int, width: int) -> None:
    image, mask = _region()
    mask[20 + width :] = False
    small, moved = rescale(image, mask, side)
    assert small.shape == (side, side, 3)
    assert moved.shape == (side, side)
    whole_line = moved.any(axis=0).sum()
    assert abs(whole_line - 20 * side / 64) <= 1.5  # nothing is torn
    assert moved.sum() == pytest.approx(mask.sum() * (side / 64) ** 2, rel=1.0 if width == 1 else 0.5)


def test_zooms_are_bounded_and_most_regions_keep_their_scale() -> None:
    zooms = np.array([draw_zoom(np.random.default_rng(seed)) for seed in range(400)])
    assert 0.5 < (zooms == 1.0).mean() < 0.7
    assert zooms.min() >= 1 / 1.25
    assert zooms.max() <= 1.25


def test_another_exposure_leaves_a_dark_defect_dark() -> None:
    image, mask = _region()
    levels = set()
    for seed in range(30):
        changed = shift_colour(image, rng=np.random.default_rng(seed)).astype(int)
        assert changed[mask].max() < changed[~mask].min()
        levels.add(int(changed.mean()))
    assert len(levels) > 8


# -- backgrounds -------------------------------------------------------------------------------------------------


def _even(level: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(level - 5, level + 6, (120, 150, 3), dtype=np.uint8)


@pytest.mark.parametrize(("defect", "level", "expected"), [(40, 140, 56), (40, 80, 32), (160, 140, 200)])
def test_a_swapped_defect_lies_on_a_good_surface_and_keeps_its_difference(
    defect: int, level: int, expected: int
) -> None:
    image, mask = _region(defect=defect)
    good = _even(level, 1)
    swapped = Backgrounds([good]).swap_background(image, mask, rng=np.random.default_rng(0))
    assert swapped is not None
    windows = np.lib.stride_tricks.sliding_window_view(good, (64, 64, 3))[:, :, 0]
    outside = [(window[~mask] == swapped[~mask]).all() for row in windows for window in row]
    assert sum(outside) == 1  # to the bit a region of the good image
    assert swapped[mask].mean() == pytest.approx(expected, abs=6)  # darker takes a share, lighter is added
    assert swapped[mask].std() < 10  # grain of the surface does not get in


def test_structure_around_a_defect_must_agree() -> None:
    image, mask = _region()
    image[:, 34:] = np.where(mask[:, 34:, None], image[:, 34:], 200)  # the defect lies across an edge
    even, edged = _even(100, 2), _even(100, 3)
    edged[:, 70:] = 200
    for seed in range(6):
        rng = np.random.default_rng(seed)
        assert Backgrounds([even]).swap_background(image, mask, rng=rng) is None
        swapped = Backgrounds([edged]).swap_background(image, mask, rng=rng)
        assert swapped is not None
        assert (swapped[:, 35:][~mask[:, 35:]] == 200).all()  # and the edge goes on through it
        assert (swapped[:, :33][~mask[:, :33]] < 110).all()


def test_a_mask_that_fills_its_region_is_not_swapped() -> None:
    image, mask = _region()
    mask[:] = True
    assert Backgrounds([_even(100, 4)]).swap_background(image, mask, rng=np.random.default_rng(0)) is None


# -- directions --------------------------------------------------------------------------------------------------


def test_a_striped_surface_has_a_direction_and_noise_and_checks_have_none() -> None:
    noise = _even(100, 5)
    stripes = np.broadcast_to(np.random.default_rng(6).integers(50, 200, (1, 150, 1), dtype=np.uint8), (120, 150, 3))
    checks = np.kron(np.indices((12, 15)).sum(axis=0) % 2, np.ones((10, 10))).astype(np.uint8)[..., None] * np.uint8(90)
    assert not has_direction([])
    assert not has_direction([noise])
    assert not has_direction([np.repeat(checks, 3, axis=2)])
    assert has_direction([np.ascontiguousarray(stripes)])
    turned_too = [np.ascontiguousarray(np.rot90(stripes, i)) for i in range(2)]
    assert not has_direction(turned_too * 8)  # each has one, together they have none


def test_a_kind_has_a_direction_if_its_long_masks_agree() -> None:
    def long(*, upright: bool) -> Example:
        mask = np.zeros((60, 60), np.bool_)
        mask[(slice(10, 50), slice(20, 24)) if upright else (slice(20, 24), slice(10, 50))] = True
        return Example(np.zeros((60, 60, 3), np.uint8), mask, "scratch")

    alike, mixed = [long(upright=True)] * 9, [long(upright=bool(i % 2)) for i in range(10)]
    assert find_directed_defects({"alike": alike, "mixed": mixed, "few": alike[:4]}) == {"alike"}
