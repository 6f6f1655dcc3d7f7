# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What ``fit`` says about pictures that are doubtful, and that it is silent about those that are not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from anomalib_stage.rendering.defects import paint_defect
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.training.data.mask_shift import find_common_shift
from anomalib_stage.training.data.near_duplicates import find_near_duplicates, shrink_copy
from anomalib_stage.training.data.regions.example import Example
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.regions.rendered import draw_rendered_mask
from anomalib_stage.training.data.training_data import TrainingData
from anomalib_stage.training.data.warnings import list_warnings
from anomalib_stage.training.report import format_report

SIDE = 96


def _rendered(defect: str, seed: int, **changes: str) -> Example:
    """A rendered defect with margins wide enough for any shift."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[16:80, 16:80] = draw_rendered_mask(defect, 64, rng=rng)
    image = paint_defect(render_surface((SIDE, SIDE), rng=rng), mask, defect=defect, rng=rng)
    return Example((image * 255 + 0.5).astype(np.uint8), mask, defect, f"{defect}{seed}", **changes)


@pytest.fixture(scope="module")
def holes() -> list[Example]:
    return [_rendered("hole", seed) for seed in range(24)]


def _moved(example: Example, rows: int, columns: int) -> Example:
    return replace(example, mask=np.roll(example.mask, (rows, columns), (0, 1)))


def _material(learnt: list[Example], held_out: list[Example] | None = None, **changes: object) -> TrainingData:
    return TrainingData(learnt, held_out or [], [], RealDefects(learnt), directed=False, **changes)


def test_rendered_defects_raise_no_doubt(holes: list[Example]) -> None:
    assert list_warnings(_material(holes[:20], holes[20:])) == []


@pytest.mark.parametrize(("rows", "columns"), [(4, 0), (-5, 6)])
def test_a_shift_of_all_masks_is_measured_and_said(holes: list[Example], rows: int, columns: int) -> None:
    shifted = [_moved(example, rows, columns) for example in holes]
    found = find_common_shift(shifted)
    assert found is not None
    assert np.abs(np.add(found, (rows, columns))).max() <= 1
    [line] = list_warnings(_material(shifted))
    assert line.startswith("hole: masks look shifted")
    assert ("higher" if rows > 0 else "lower") in line


def test_small_and_random_shifts_and_few_defects_are_not_called_shifted(holes: list[Example]) -> None:
    rng = np.random.default_rng(0)
    assert find_common_shift([_moved(example, 1, -1) for example in holes]) is None
    assert find_common_shift([_moved(example, *rng.integers(-6, 7, 2)) for example in holes]) is None
    assert find_common_shift([_moved(example, 5, 0) for example in holes[:4]]) is None
    flat = [replace(example, image=np.full_like(example.image, 90)) for example in holes]
    assert find_common_shift(flat) is None


def test_kinds_with_one_example_and_odd_masks_are_named(holes: list[Example]) -> None:
    speck, whole = np.zeros((SIDE, SIDE), np.bool_), np.ones((SIDE, SIDE), np.bool_)
    speck[40, 40:43] = True
    odd = [
        replace(holes[0], defect="dot", mask=speck, name="a"),
        replace(holes[1], defect="film", mask=whole, name="b"),
        replace(holes[2], defect="film", mask=whole, name="c"),
    ]
    assert list_warnings(_material(odd)) == [
        "dot: there is one example only; more will do better",
        "dot: 1 defects of fewer than 4 px (a); specks of the brush?",
        "film: 2 masks over more than half of the picture (b, c); is the defect what is masked?",
    ]


def _again(example: Example, seed: int) -> np.ndarray:
    """Another capture of the same piece: darker, softer and with other noise."""
    soft = cv2.GaussianBlur(example.image.astype(float) * 0.8, (0, 0), 0.8)
    return np.clip(soft + np.random.default_rng(seed).normal(0, 4, soft.shape), 0, 255).astype(np.uint8)


def test_captures_of_one_piece_on_both_sides_are_found(holes: list[Example]) -> None:
    twin = replace(holes[3], image=_again(holes[3], 1), name="twin")
    [line] = list_warnings(_material(holes[:20], [*holes[20:], twin]))
    assert line.startswith("nearly the same picture is learnt from and held out: hole/hole3 and hole/twin; --groups")
    [line] = list_warnings(_material(holes[:20], holes[20:], evaluated={"hole/test": shrink_copy(twin.image)}))
    assert line.startswith("nearly the same picture is learnt from and for the test: hole/hole3 and hole/test")


def test_pictures_of_aligned_parts_are_no_duplicates(holes: list[Example]) -> None:
    part = render_surface((SIDE, SIDE), rng=np.random.default_rng(9))[..., :3] * 200
    rng = np.random.default_rng(1)
    copies = {
        str(i): shrink_copy(
            np.clip(part + cv2.resize(rng.normal(0, 12, (12, 12, 1)), (SIDE, SIDE))[..., None], 0, 255).astype(np.uint8)
        )
        for i in range(8)
    }
    first = {name: copies[name] for name in "0123"}
    second = {name: copies[name] for name in "4567"}
    assert find_near_duplicates(first, second) == []
    assert find_near_duplicates(first, second | {"twin": copies["2"]}) == [("2", "twin")]
    assert find_near_duplicates({"0": copies["0"]}, {"twin": copies["0"]}) == []  # nobody knows what parts share


def test_warnings_are_lines_of_the_report() -> None:
    assert format_report({"warnings": ["rust: one"]}) == ["warning: rust: one"]
