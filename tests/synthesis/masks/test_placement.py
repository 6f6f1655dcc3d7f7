# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The bank of real masks: what is stored, and where masks drawn from it lie."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.masks.bank import COLUMNS, pack_bank, unpack_bank
from anomalib_stage.synthesis.masks.bank_mask import BankMask
from anomalib_stage.synthesis.masks.mask_measures import measure_mask
from anomalib_stage.synthesis.masks.placement import draw_with_exemplar
from anomalib_stage.synthesis.masks.templates.template import SIDE

SIZE = (120, 160)


def blank(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.zeros(size, np.uint8)


def ellipse(row: int, column: int, axes: tuple[int, int], angle: float = 0.0) -> np.ndarray:
    return cv2.ellipse(blank(), (column, row), axes, angle, 0, 360, 1, -1) > 0


def disc_object(size: tuple[int, int] = SIZE) -> np.ndarray:
    return cv2.circle(blank(size), (size[1] // 2, size[0] // 2), round(0.4 * min(size)), 1, -1) > 0


def parts(mask: np.ndarray) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1


EVERYWHERE = np.ones(SIZE, np.bool_)
BLOBS = [measure_mask(ellipse(40 + 9 * i, 50 + 11 * i, (9, 5), 30 * i), EVERYWHERE) for i in range(5)]
SPOTS = [measure_mask(ellipse(50, 50, (3, 3)) | ellipse(56, 64, (4, 2)) | ellipse(44, 60, (2, 2)), EVERYWHERE)]
LINE = [measure_mask(cv2.line(blank(), (30, 20), (120, 22), 1, 1) > 0, EVERYWHERE)]
PIXEL = [measure_mask(ellipse(60, 80, (0, 0)), EVERYWHERE)]
HUGE = [measure_mask(ellipse(60, 80, (75, 55)), EVERYWHERE)]
BANKS = {"blobs": BLOBS, "spots": SPOTS, "line": LINE, "pixel": PIXEL, "huge": HUGE}


def chips() -> list[BankMask]:
    """Bites into the rim of a disc, all around it."""
    disc = disc_object()
    bites = []
    for turn in np.linspace(0.0, 2.0 * math.pi, 9)[:-1]:
        centre = (round(80 + 45 * math.cos(turn)), round(60 + 45 * math.sin(turn)))
        bites.append(measure_mask((cv2.circle(blank(), centre, 8, 1, -1) > 0) & disc, disc))
    return bites


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(BANKS)),
    seed=st.integers(0, 10_000),
    height=st.integers(32, 300),
    width=st.integers(32, 300),
    disc=st.booleans(),
)
def test_a_drawn_mask_is_on_the_object_whole_and_repeatable(
    name: str, seed: int, height: int, width: int, disc: bool
) -> None:
    foreground = disc_object((height, width)) if disc else None
    first, again = (
        draw_with_exemplar(BANKS[name], (height, width), foreground=foreground, rng=np.random.default_rng(seed)).mask
        for _ in range(2)
    )
    assert first.dtype == np.bool_
    assert first.shape == (height, width)
    assert first.any()
    assert np.array_equal(first, again)
    assert foreground is None or not (first & ~foreground).any()
    assert parts(first) <= max(parts(mask.cells) for mask in BANKS[name])


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(BANKS)),
    seed=st.integers(0, 10_000),
    height=st.integers(32, 128) | st.integers(128, 2048),
    width=st.integers(32, 128) | st.integers(128, 2048),
    defect=st.sampled_from(["everywhere", "pixel", "line", "frame", "specks"]),
)
def test_masks_stay_whole_on_objects_of_any_form_and_size(
    name: str, seed: int, height: int, width: int, defect: str
) -> None:
    rng = np.random.default_rng(seed)
    foreground = np.zeros((height, width), np.bool_)
    if defect == "everywhere":
        foreground[:] = True
    elif defect == "line":
        foreground[int(rng.integers(height))] = True
    elif defect == "frame":
        foreground[[0, -1]] = foreground[:, [0, -1]] = True
    elif defect == "specks":
        foreground.flat[rng.choice(foreground.size, 40, replace=False)] = True
    else:
        foreground[int(rng.integers(height)), int(rng.integers(width))] = True
    first, again = (
        draw_with_exemplar(BANKS[name], (height, width), foreground=foreground, rng=np.random.default_rng(seed)).mask
        for _ in range(2)
    )
    assert first.dtype == np.bool_
    assert first.shape == (height, width)
    assert first.any()
    assert not (first & ~foreground).any()
    assert parts(first) <= max(parts(mask.cells) for mask in BANKS[name])
    assert np.array_equal(first, again)


cells_of = st.integers(1, 24).flatmap(
    lambda rows: st.integers(1, 24).flatmap(
        lambda columns: st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns).map(
            lambda bits: np.array(bits).reshape(rows, columns)
        )
    )
)


@settings(max_examples=60, deadline=None)
@given(cells=cells_of.filter(lambda cells: bool(cells.any())), seed=st.integers(0, 10_000), side=st.integers(32, 400))
def test_no_mask_whatever_its_cells_comes_out_empty_or_in_more_parts(cells: np.ndarray, seed: int, side: int) -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[30 : 30 + cells.shape[0], 40 : 40 + cells.shape[1]] = cells
    entry = measure_mask(mask, EVERYWHERE)
    drawn = draw_with_exemplar([entry], (side, side), foreground=None, rng=np.random.default_rng(seed)).mask
    assert drawn.any()
    assert parts(drawn) <= parts(cells)


@pytest.mark.parametrize(
    ("masks", "foreground", "words"),
    [
        ([], None, "has no mask"),
        (BLOBS, np.zeros(SIZE, np.bool_), "0 pixels"),
        (BLOBS, np.ones((8, 8), np.bool_), "the size of the image"),
    ],
)
def test_what_cannot_be_drawn_is_refused(masks: list[BankMask], foreground: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw_with_exemplar(masks, SIZE, foreground=foreground, rng=np.random.default_rng(0))


@pytest.mark.parametrize("side", [700, 2048])
@pytest.mark.parametrize("name", sorted(BANKS))
def test_large_images_get_masks_scaled_with_the_object(name: str, side: int) -> None:
    mask = draw_with_exemplar(BANKS[name], (side, side), foreground=None, rng=np.random.default_rng(3)).mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    longest = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    wanted = max(entry.length for entry in BANKS[name]) * side
    assert longest < 1.6 * wanted + 3
    assert mask.any()


def test_chips_stay_on_the_edge_and_turn_with_it() -> None:
    disc = disc_object((200, 200))
    radius = np.hypot(*np.mgrid[-100:100, -100:100])
    for seed in range(30):
        mask = draw_with_exemplar(chips(), (200, 200), foreground=disc, rng=np.random.default_rng(seed)).mask
        assert radius[mask].max() > 80 - 5
        assert radius[mask].min() > 40


def test_chips_of_any_size_reach_the_edge() -> None:
    plate = np.zeros(SIZE, np.uint8)
    plate[20:-20, 20:-20] = 1
    mask = np.zeros(SIZE, np.bool_)
    mask[20:32, 60:74] = True
    chip = measure_mask(mask, plate > 0)
    depth = cv2.distanceTransform(plate, cv2.DIST_L2, 5)
    gaps = []
    for seed in range(30):
        drawn = draw_with_exemplar([chip], SIZE, foreground=plate > 0, rng=np.random.default_rng(seed)).mask
        gaps.append(float(depth[drawn].min()) - 1.0)
    assert max(gaps) <= 1.0  # pixels; turned a little, a corner reaches it
    assert sum(gaps) <= 6.0


def test_a_print_stays_where_it_was() -> None:
    prints = [measure_mask(ellipse(20 + i, 30 + i, (8, 4)), EVERYWHERE) for i in range(4)]
    for seed in range(20):
        mask = draw_with_exemplar(prints, SIZE, foreground=None, rng=np.random.default_rng(seed)).mask
        row, column = np.argwhere(mask).mean(axis=0)
        assert row < 45
        assert column < 60


def test_what_lay_anywhere_spreads() -> None:
    centres = [
        np.argwhere(draw_with_exemplar(BLOBS, SIZE, foreground=None, rng=np.random.default_rng(seed)).mask).mean(axis=0)
        for seed in range(60)
    ]
    assert np.std(centres, axis=0).min() > 10


def test_a_kind_with_a_direction_keeps_it_and_others_turn_freely() -> None:
    level = [measure_mask(ellipse(30 + 15 * i, 40 + 20 * i, (16, 2), 3 * i), EVERYWHERE) for i in range(4)]

    def directions(bank: list[BankMask]) -> np.ndarray:
        drawn = (
            draw_with_exemplar(bank, SIZE, foreground=None, rng=np.random.default_rng(seed)).mask for seed in range(40)
        )
        return np.array([measure_mask(mask, EVERYWHERE).direction for mask in drawn])

    assert abs(np.exp(2j * directions(level)).mean()) > 0.9
    mixed = [measure_mask(ellipse(30 + 15 * i, 40 + 20 * i, (16, 2), 45 * i), EVERYWHERE) for i in range(4)]
    assert abs(np.exp(2j * directions(mixed)).mean()) < 0.5


def test_the_bank_survives_packing() -> None:
    packed = pack_bank(BANKS | {"chips": chips()})
    assert all(
        array.dtype == (np.uint8 if name.startswith("mask_bank.") else np.float32) for name, array in packed.items()
    )
    again = unpack_bank(packed)
    assert set(again) == set(BANKS) | {"chips"}
    for defect, masks in (BANKS | {"chips": chips()}).items():
        for before, after in zip(masks, again[defect], strict=True):
            assert np.array_equal(before.cells, after.cells)
            assert after.on_edge is bool(before.on_edge)
            for name in COLUMNS[2:]:
                assert getattr(after, name) == pytest.approx(float(getattr(before, name)), abs=1e-5)


def test_large_masks_are_stored_small_and_keep_their_length() -> None:
    mask = cv2.line(blank((900, 1200)), (50, 100), (1100, 160), 1, 1) > 0
    entry = measure_mask(mask, np.ones((900, 1200), np.bool_))
    assert max(entry.cells.shape) == 192
    assert parts(entry.cells) == 1
    assert entry.length == pytest.approx(1051 / 900)


@pytest.mark.parametrize(
    "spoil", ["no prior", "no bits", "bits short", "columns", "nan", "sizes", "empty", "around", "only around"]
)
def test_a_malformed_bank_is_refused(spoil: str) -> None:
    packed = dict(pack_bank({"hole": BLOBS}))
    bits, prior = packed["mask_bank.hole"], packed["prior.hole"]
    changed = {
        "no prior": {"mask_bank.hole": bits},
        "no bits": {"prior.hole": prior},
        "bits short": {"mask_bank.hole": bits[:-1], "prior.hole": prior},
        "columns": {"mask_bank.hole": bits, "prior.hole": prior[:, :-1]},
        "nan": {"mask_bank.hole": bits, "prior.hole": prior * np.float32("nan")},
        "sizes": {"mask_bank.hole": bits, "prior.hole": prior * 1000},
        "empty": {"mask_bank.hole": bits * np.uint8(0), "prior.hole": prior},
        "around": {**packed, "around.hole": np.zeros((len(BLOBS) - 1, SIDE, SIDE), np.uint8)},
        "only around": {"around.hole": np.zeros((len(BLOBS), SIDE, SIDE), np.uint8)},
    }[spoil]
    with pytest.raises(InputError, match="the bank of 'hole'"):
        unpack_bank(changed)


@pytest.mark.parametrize(("mask", "foreground"), [(EVERYWHERE & False, EVERYWHERE), (EVERYWHERE, EVERYWHERE & False)])
def test_nothing_can_be_measured_on_nothing(mask: np.ndarray, foreground: np.ndarray) -> None:
    with pytest.raises(InputError, match="at least one pixel"):
        measure_mask(mask, foreground)
