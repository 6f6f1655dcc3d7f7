# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real masks are drawn where the image looks like what surrounded them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.synthesis.masks.bank import pack_bank, unpack_bank
from anomalib_stage.synthesis.masks.mask_measures import measure_mask
from anomalib_stage.synthesis.masks.placement import draw_with_exemplar
from anomalib_stage.synthesis.masks.templates.template import SIDE, Pose, crop_template, to_grey
from anomalib_stage.synthesis.masks.templates.template_match import find_matches, refine_match


def board(side: int, *, shift: int = 0, scale: int = 1) -> np.ndarray:
    """Dark tracks, 8 wide, 16 apart on a light ground, in the upper half; the lower half is empty."""
    rows, columns = np.mgrid[:side, :side]
    track = ((columns // scale + shift) % 24 < 8) & (rows < side // 2)
    return np.repeat(np.where(track, 40, 220).astype(np.uint8)[..., None], 3, axis=2)


def with_cut() -> tuple[np.ndarray, np.ndarray]:
    """A board with a cut across a track, and the cut's mask."""
    image, mask = board(120), np.zeros((120, 120), np.bool_)
    mask[24:32, 48:56] = True
    image[mask] = 220
    return image, mask


EVERYWHERE = np.ones((120, 120), np.bool_)


def test_the_kept_picture_has_the_surroundings_and_nothing_of_the_defect() -> None:
    image, mask = with_cut()
    kept = crop_template(image, mask)
    assert kept.shape == (SIDE, SIDE)
    assert kept.dtype == np.uint8
    image[mask] = 99
    assert np.array_equal(crop_template(image, mask), kept)
    image[24:32, 58:61] = 60  # beside it
    assert not np.array_equal(crop_template(image, mask), kept)
    assert kept[SIDE // 2, SIDE // 2] == 0
    assert kept[0, 0] == 0
    middle = SIDE // 2
    assert kept[middle - 12, middle] == pytest.approx(40, abs=20)  # the track above the cut
    assert kept[middle, middle - 12] == pytest.approx(220, abs=20)  # the ground beside it


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (5, 1), (11, 1), (3, 3)])
def test_a_cut_is_laid_across_tracks(shift: int, scale: int) -> None:
    image, mask = with_cut()
    entry = measure_mask(mask, EVERYWHERE, image)
    cut_elsewhere = board(120 * scale, shift=shift, scale=scale)
    track = cut_elsewhere[..., 0] < 100

    def share(picture: np.ndarray | None) -> float:
        """Median share of a mask that is on a track."""
        drawn = [
            draw_with_exemplar(
                [entry], track.shape, foreground=None, rng=np.random.default_rng(seed), picture=picture
            ).mask
            for seed in range(30)
        ]
        return float(np.median([track[mask].mean() for mask in drawn]))

    assert share(to_grey(cut_elsewhere)) > 0.85
    assert share(None) < 0.6


def test_places_differ_and_repeat() -> None:
    image, mask = with_cut()
    entry = measure_mask(mask, EVERYWHERE, image)

    def middles() -> list[tuple[int, int]]:
        picture = to_grey(board(160, shift=7))
        drawn = [
            draw_with_exemplar(
                [entry], (160, 160), foreground=None, rng=np.random.default_rng(seed), picture=picture
            ).mask
            for seed in range(12)
        ]
        return [tuple(np.argwhere(mask).mean(axis=0).round().astype(int).tolist()) for mask in drawn]

    first = middles()
    assert len(set(first)) > 6
    assert middles() == first


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(32, 700),
    width=st.integers(32, 700),
    even=st.booleans(),
    part=st.booleans(),
)
def test_masks_are_on_the_object_whatever_the_image_shows(
    seed: int, height: int, width: int, even: bool, part: bool
) -> None:
    rng = np.random.default_rng(seed)
    image, mask = with_cut()
    entry = measure_mask(mask, EVERYWHERE, image)
    shown = np.full((height, width, 3), 128, np.uint8) if even else rng.integers(0, 256, (height, width, 3), np.uint8)
    foreground = None
    if part:
        foreground = np.zeros((height, width), np.bool_)
        foreground[height // 3 :, : width // 2] = True
    drawn = draw_with_exemplar([entry], (height, width), foreground=foreground, rng=rng, picture=to_grey(shown)).mask
    assert drawn.any()
    assert foreground is None or not (drawn & ~foreground).any()


@pytest.mark.parametrize("side", [150, 500])
def test_a_place_is_found_to_the_pixel(side: int) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (side, side, 3), np.uint8), (0, 0), 3)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    mask = np.zeros((side, side), np.bool_)
    mask[61:80, 91:122] = True
    kept, picture = crop_template(image, mask), to_grey(image)
    poses = [Pose(31.0, turn, flip) for turn in (0.0, math.pi / 2) for flip in (False, True)]
    best = refine_match(find_matches(picture, kept, poses, rng=rng)[0], picture, kept)
    assert (best.row, best.column) == pytest.approx((70, 106), abs=1)
    assert best.pose == poses[0]
    here = (slice(0, 50), slice(0, 60))
    inside = find_matches(picture, kept, poses, rng=rng, window=here)
    assert all(fit.row <= 50 + side / 192 and fit.column <= 60 + side / 192 for fit in inside)


def test_nothing_known_is_no_place() -> None:
    full = np.ones((40, 40), np.bool_)
    kept = crop_template(np.zeros((40, 40, 3), np.uint8), full)
    assert not kept.any()
    assert (
        find_matches(np.full((64, 64), 9, np.uint8), kept, [Pose(20.0, 0.0, flip=False)], rng=np.random.default_rng(0))
        == []
    )
    entry = measure_mask(full, full, np.zeros((40, 40, 3), np.uint8))
    rng = np.random.default_rng(0)
    assert draw_with_exemplar(
        [entry], (64, 64), foreground=None, rng=rng, picture=np.full((64, 64), 9, np.uint8)
    ).mask.any()


def test_pictures_are_stored_with_the_bank() -> None:
    image, mask = with_cut()
    entry = measure_mask(mask, EVERYWHERE, image)
    packed = pack_bank({"cut": [entry, entry], "old": [measure_mask(mask, EVERYWHERE)]})
    assert set(packed) == {"mask_bank.cut", "prior.cut", "around.cut", "exemplar.cut", "mask_bank.old", "prior.old"}
    loaded = unpack_bank(packed)
    assert loaded["old"][0].template is None
    assert np.array_equal(loaded["cut"][1].template, entry.template)
