# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of real defects: cut out, stored, laid as their masks are laid, and taken apart into level and detail."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.appearance import compute_mean_inside
from anomalib_stage.synthesis.appearance.exemplar import Exemplar, extract_detail, fill_exemplar, warp_exemplars
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.masks.bank import pack_bank, unpack_bank
from anomalib_stage.synthesis.masks.bank_mask import BankMask
from anomalib_stage.synthesis.masks.mask_measures import measure_mask
from anomalib_stage.synthesis.masks.placement import draw_with_exemplar
from anomalib_stage.synthesis.masks.templates.template import Pose
from anomalib_stage.synthesis.masks.warp import jitter, warp
from anomalib_stage.synthesis.regions import Region, bounding_box, crop

EVERYWHERE = np.ones((120, 160), np.bool_)


def defect() -> tuple[np.ndarray, np.ndarray]:
    """A bent body on grey ground, light to the left of column 60 and dark to the right of it."""
    mask = np.zeros((120, 160), np.uint8)
    cv2.ellipse(mask, (60, 50), (24, 9), 20, 0, 360, 1, -1)
    cv2.ellipse(mask, (80, 66), (5, 14), 0, 0, 360, 1, -1)
    image = np.full((120, 160, 3), 128, np.uint8)
    image[mask > 0] = (250, 230, 210)
    image[:, 60:][mask[:, 60:] > 0] = (20, 10, 30)
    return image, mask > 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 24), width=st.integers(1, 24))
def test_beside_a_defect_its_picture_goes_on_with_the_nearest_pixel(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = rng.random((height, width)) < rng.uniform(0.02, 0.9)
    mask.flat[int(rng.integers(mask.size))] = True
    found = fill_exemplar(image, mask)
    assert np.array_equal(found[mask], image[mask])
    masked = np.argwhere(mask)
    for row, column in np.argwhere(~mask):
        distances = np.hypot(*(masked - (row, column)).T)
        # the distances are those of a 5 x 5 mask, 2 % off at most
        near = masked[distances <= 1.03 * distances.min() + 1e-6]
        assert any(np.array_equal(found[row, column], image[r, c]) for r, c in near)


def test_a_measured_mask_has_its_picture_and_nothing_of_the_ground() -> None:
    image, mask = defect()
    entry = measure_mask(mask, EVERYWHERE, image)
    assert entry.exemplar is not None
    assert entry.exemplar.shape == (*entry.cells.shape, 3)
    assert not (entry.exemplar == 128).all(axis=2).any()
    top, left, height, width = bounding_box(mask)
    assert np.array_equal(entry.exemplar[entry.cells], image[top : top + height, left : left + width][entry.cells])
    image[~mask] = 7
    again = measure_mask(mask, EVERYWHERE, image).exemplar
    assert again is not None
    assert np.array_equal(again, entry.exemplar)


def test_large_pictures_are_stored_as_small_as_their_masks() -> None:
    image, mask = (
        cv2.resize(array.astype(np.uint8), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST) for array in defect()
    )
    entry = measure_mask(mask > 0, np.ones(mask.shape, np.bool_), image)
    assert entry.exemplar is not None
    assert max(entry.cells.shape) == 192
    assert entry.exemplar.shape == (*entry.cells.shape, 3)


def test_pictures_survive_being_stored() -> None:
    image, mask = defect()
    small = np.zeros_like(mask)
    small[3:5, 7:12] = True
    bank = {"bent": [measure_mask(mask, EVERYWHERE, image), measure_mask(small, EVERYWHERE, image)]}
    loaded = unpack_bank(pack_bank(bank))
    for before, after in zip(bank["bent"], loaded["bent"], strict=True):
        assert before.exemplar is not None
        assert after.exemplar is not None
        assert np.array_equal(before.exemplar, after.exemplar)
    mixed = {"bent": [bank["bent"][0], measure_mask(small, EVERYWHERE)]}  # one without a picture: none is kept
    assert "exemplar.bent" not in pack_bank(mixed)


@pytest.mark.parametrize("spoil", ["short", "floats"])
def test_a_malformed_picture_is_refused(spoil: str) -> None:
    image, mask = defect()
    packed = dict(pack_bank({"bent": [measure_mask(mask, EVERYWHERE, image)]}))
    whole = packed["exemplar.bent"]
    packed["exemplar.bent"] = whole[:-3] if spoil == "short" else whole.astype(np.float32)
    with pytest.raises(InputError, match=r"the bank of 'bent' is malformed: exemplar .* must be uint8"):
        unpack_bank(packed)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(length=st.floats(12, 90), turn=st.floats(0, 6.28), flip=st.booleans(), seed=st.integers(0, 10**6))
def test_a_picture_is_turned_scaled_and_bent_as_its_mask_is(length: float, turn: float, flip: bool, seed: int) -> None:
    _, mask = defect()
    top, left, height, width = bounding_box(mask)
    cells = mask[top - 8 : top + height + 8, left - 8 : left + width + 8]
    pixels = np.repeat(cells[..., None].astype(np.uint8) * 255, 3, axis=2)  # a picture of the mask
    pose = Pose(length, turn, flip)
    stamp = jitter(cells, pose, rng=np.random.default_rng(seed))
    laid = warp(pixels, stamp)
    assert laid is not None
    assert laid.shape == (*stamp.cells.shape, 3)
    light = laid[..., 0] > 127
    grown = cv2.dilate(stamp.cells.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    shrunk = cv2.erode(stamp.cells.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert light[shrunk].all()
    assert not (light & ~grown).any()


@pytest.mark.parametrize("seed", range(12))
def test_what_is_drawn_is_the_defect_where_the_mask_is(seed: int) -> None:
    image, mask = defect()
    entry = measure_mask(mask, EVERYWHERE, image)
    foreground = cv2.circle(np.zeros((150, 150), np.uint8), (75, 75), 60, 1, -1) > 0
    options = {"size": (150, 150), "foreground": foreground}
    drawn = draw_with_exemplar([entry], **options, rng=np.random.default_rng(seed))
    assert np.array_equal(drawn.mask, draw_with_exemplar([entry], **options, rng=np.random.default_rng(seed)).mask)
    assert drawn.exemplar is not None
    pixels, top, left, *_ = drawn.exemplar
    inside = drawn.mask[top : top + pixels.shape[0], left : left + pixels.shape[1]]
    assert inside.sum() == drawn.mask.sum()
    levels = pixels[inside].astype(int).mean(axis=1)
    assert 0.2 < (levels > 200).mean() < 0.8
    assert 0.2 < (levels < 60).mean() < 0.8
    without = draw_with_exemplar([measure_mask(mask, EVERYWHERE)], **options, rng=np.random.default_rng(seed))
    assert without.exemplar is None
    assert np.array_equal(without.mask, drawn.mask)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(top=st.integers(-20, 50), left=st.integers(-20, 50), height=st.integers(1, 30), width=st.integers(1, 30))
def test_pictures_are_laid_where_they_belong(top: int, left: int, height: int, width: int) -> None:
    region = Region(5, 3, 32, 48)
    rng = np.random.default_rng(abs(top) * 100 + height)
    pixels = rng.integers(1, 256, (height, width, 3), dtype=np.uint8)
    laid = warp_exemplars([None, Exemplar(pixels, top, left)], [region, region], [(60, 60)] * 2)
    assert laid is not None
    assert laid.shape == (2, 3, 32, 48)
    assert not laid[0].any()
    whole = np.zeros((120, 120, 3), np.float32)  # an image with 30 px around
    whole[top + 30 : top + 30 + height, left + 30 : left + 30 + width] = pixels / np.float32(255.0)
    cut = whole[35:67, 33:81]
    assert np.allclose(laid[1].permute(1, 2, 0).numpy(), cut, atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(height=st.integers(32, 90), width=st.integers(32, 90), seed=st.integers(0, 10**6))
def test_over_the_border_pictures_are_mirrored_as_images_are(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    region = Region(-int(rng.integers(1, 20)), -int(rng.integers(1, 20)), height + 30, width + 30)
    laid = warp_exemplars([Exemplar(image, 0, 0)], [region], [(height, width)])
    assert laid is not None
    assert torch.equal(laid[0], crop(torch.from_numpy(image).permute(2, 0, 1).float() / 255.0, region))


@pytest.mark.parametrize(("scale", "sharp"), [(0.05, False), (0.5, False), (1.0, True), (3.0, False)])
def test_pictures_about_as_large_as_they_were_taken_are_sharp(scale: float, sharp: bool) -> None:
    image, mask = defect()
    entry = measure_mask(mask, EVERYWHERE, image)
    side = round(120 * scale)
    for seed in range(5):
        drawn = draw_with_exemplar([entry], (side, side), foreground=None, rng=np.random.default_rng(seed))
        assert bool(drawn.exemplar and drawn.exemplar.sharp) is sharp


def test_without_a_picture_nothing_is_laid() -> None:
    assert warp_exemplars([None, None], [Region(0, 0, 32, 32)] * 2, [(32, 32)] * 2) is None


def test_level_and_detail_make_the_picture() -> None:
    codec = PixelCodec(2)
    generator = torch.Generator().manual_seed(0)
    latent = codec.encode(torch.rand(2, 3, 32, 32, generator=generator))
    inside = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    inside[0, 0, 3:20, 5:11], inside[1, 0, 7, 7] = True, True
    mask = codec.encode_mask(inside)
    level, detail = extract_detail(latent, mask)
    assert level.shape == (2, 3)
    assert not detail[mask == 0].any()
    painted = codec.decode(detail + level.repeat_interleave(4, dim=1)[..., None, None])
    original = codec.decode(latent)
    assert torch.allclose(painted[inside.expand_as(painted)], original[inside.expand_as(painted)], atol=1e-5)
    assert torch.allclose(compute_mean_inside(detail, mask), torch.zeros(2, 3), atol=1e-5)


def test_a_bank_mask_needs_no_picture() -> None:
    names = ("row", "column", "length", "depth", "outward", "direction", "elongation")
    entry = BankMask(np.ones((4, 4), np.bool_), **dict.fromkeys(names, 0.5), on_edge=False)
    assert draw_with_exemplar([entry], (64, 64), foreground=None, rng=np.random.default_rng(0)).exemplar is None
