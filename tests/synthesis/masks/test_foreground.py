# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where the object is: scenes with a known answer, textures, real sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.masks.foreground.foreground import estimate_foreground

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Scene = tuple[NDArray[np.uint8], NDArray[np.bool_]]

SIDE = 256


def ground(
    colour: tuple[int, int, int], *, shade: float = 0.0, grain: float = 2.0, seed: int = 0
) -> NDArray[np.float64]:
    """Return an even ground, darker by ``shade`` towards one corner, with sensor noise."""
    y, x = np.mgrid[0.0 : 1.0 : SIDE * 1j, 0.0 : 1.0 : SIDE * 1j]
    noise = np.random.default_rng(0).normal(0.0, grain, (SIDE, SIDE, 3))
    return np.asarray(colour, dtype=np.float64) * (1.0 - shade * (0.6 * x + 0.4 * y * y))[..., None] + noise


def scene(base: NDArray[np.float64], mask: NDArray[np.uint8], colour: tuple[int, int, int]) -> Scene:
    """Put an object of one colour, with rough paint, on a ground."""
    rough = np.random.default_rng(1).normal(0.0, 8.0, (SIDE, SIDE, 1))
    image = np.where(mask[..., None] > 0, np.asarray(colour) + rough, base)
    return np.clip(image, 0, 255).astype(np.uint8), mask > 0


def blank() -> NDArray[np.uint8]:
    return np.zeros((SIDE, SIDE), np.uint8)


def plate_on_a_hook() -> Scene:
    mask = cv2.fillPoly(blank(), [np.array([[60, 90], [190, 60], [215, 170], [85, 200]])], 1)
    mask = cv2.circle(mask, (138, 130), 16, 0, -1)
    return scene(ground((205, 205, 205), shade=0.15), cv2.line(mask, (128, 0), (130, 75), 1, 3), (20, 60, 180))


def several_parts() -> Scene:
    mask = blank()
    for centre in ((60, 70), (190, 60), (120, 190)):
        cv2.ellipse(mask, centre, (34, 22), centre[0], 0, 360, 1, -1)
    return scene(ground((230, 225, 215)), mask, (120, 90, 60))


def dark_on_dark() -> Scene:
    return scene(ground((18, 18, 20), grain=1.5), cv2.circle(blank(), (130, 120), 70, 1, -1), (70, 66, 60))


def light_on_light() -> Scene:
    return scene(ground((215, 215, 215)), cv2.rectangle(blank(), (70, 40), (180, 220), 1, -1), (250, 250, 250))


def part_with_a_dark_spot() -> Scene:
    image, mask = scene(ground((25, 25, 25)), cv2.circle(blank(), (128, 128), 80, 1, -1), (180, 180, 185))
    cv2.circle(image, (140, 120), 5, (24, 25, 26), -1)
    return image, mask


def shaded_corner_to_corner() -> Scene:
    return scene(ground((220, 210, 200), shade=0.5), cv2.circle(blank(), (120, 140), 60, 1, -1), (30, 110, 60))


@pytest.mark.parametrize(
    "make",
    [plate_on_a_hook, several_parts, dark_on_dark, light_on_light, part_with_a_dark_spot, shaded_corner_to_corner],
)
def test_objects_on_a_ground_are_found(make: object) -> None:
    image, truth = make()  # type: ignore[operator]
    found = estimate_foreground(image)
    assert (found & truth).sum() / (found | truth).sum() > 0.93
    assert (found & ~truth).sum() < 0.03 * truth.sum()


def test_a_small_dark_spot_stays_part_of_the_object() -> None:
    image, _ = part_with_a_dark_spot()
    assert estimate_foreground(image)[115:125, 135:145].all()


def test_a_hole_that_shows_the_ground_is_no_object() -> None:
    image, _ = plate_on_a_hook()
    assert not estimate_foreground(image)[124:136, 132:144].any()


@pytest.mark.parametrize("family", ["brushed_metal", "leather", "cast", "wood", "woven", "machined", "plain"])
def test_textures_are_all_object(family: str) -> None:
    shares = [
        estimate_foreground(render_surface((SIDE, SIDE), rng=numpy_generator(i, "foreground"), family=family)).mean()
        for i in range(6)
    ]
    assert min(shares) >= 0.99


def test_conductors_on_a_board_and_stripes_are_all_object() -> None:
    board = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for at in range(20, SIDE, 30):
        cv2.line(board, (at, 0), (min(at + 40, SIDE), SIDE), (0, 0, 0), 7)
    assert estimate_foreground(board).all()


def test_a_pattern_that_the_frame_cuts_is_all_object() -> None:
    board = np.full((SIDE, SIDE, 3), 255, np.uint8)
    cv2.rectangle(board, (150, 0), (180, SIDE), (0, 0, 0), -1)
    assert estimate_foreground(board).all()


def test_a_faint_patch_on_a_rough_surface_is_no_object() -> None:
    grain = cv2.GaussianBlur(np.random.default_rng(2).normal(0.0, 1.0, (SIDE, SIDE)), (0, 0), 3.0)
    patch = cv2.ellipse(blank(), (128, 120), (60, 30), 30, 0, 360, 1, -1)
    grey = 110.0 + grain * 5.0 / grain.std() + 45.0 * patch
    assert estimate_foreground(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)).all()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_is_all_object(value: int) -> None:
    assert estimate_foreground(np.full((64, 80, 3), value, np.uint8)).all()


sides = st.integers(32, 300) | st.integers(300, 2048)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), height=sides, width=sides, plain=st.booleans())
def test_it_is_a_mask_of_the_images_size_never_empty_and_always_the_same(
    seed: int, height: int, width: int, plain: bool
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if plain:
        image[:] = image[0, 0]
        cv2.circle(
            image, (width // 2, height // 2), min(height, width) // 4, image[0, 0].astype(int)[::-1].tolist(), -1
        )
    found = estimate_foreground(image)
    assert found.shape == (height, width)
    assert found.dtype == np.bool_
    assert found.any()
    assert np.array_equal(found, estimate_foreground(image.copy()))


@pytest.mark.parametrize("side", [32, 1000, 2048])
def test_small_and_large_pictures_have_the_same_object(side: int) -> None:
    image, truth = plate_on_a_hook()
    resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    wanted = cv2.resize(truth.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
    found = estimate_foreground(resized)
    assert (found & wanted).sum() / (found | wanted).sum() > 0.8


def test_bytes_and_floats_agree() -> None:
    image, _ = several_parts()
    assert np.array_equal(estimate_foreground(image), estimate_foreground(image.astype(np.float32) / 255.0))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((8, 8), np.uint8), "shape"),
        (np.zeros((8, 8, 4), np.uint8), "shape"),
        (np.zeros((8, 8, 3), np.int32), "int32"),
        (np.full((8, 8, 3), np.nan, np.float32), "NaN"),
        (np.full((8, 8, 3), 200.0, np.float32), r"must be in \[0, 1\]"),
    ],
)
def test_what_is_no_picture_is_refused(image: NDArray[np.uint8], words: str) -> None:
    with pytest.raises(InputError, match=words):
        estimate_foreground(image)


def test_real_plates_hold_their_defects_and_real_textures_are_whole(shared_data: Path) -> None:
    plates = shared_data / "mpdd_jpg" / "metal_plate"
    tiles = sorted((shared_data / "magnetic_tile" / "magnetic_tile" / "train" / "good").glob("*.*"))[::40]
    if not plates.is_dir() or not tiles:
        pytest.skip("mpdd_jpg or magnetic_tile is not at hand")
    for file in sorted((plates / "ground_truth" / "defect").glob("*_mask.png"))[::8]:
        image = next((plates / "test" / "defect").glob(f"{file.stem.removesuffix('_mask')}.*"))
        defect = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 127
        found = estimate_foreground(np.ascontiguousarray(cv2.imread(str(image))[..., ::-1]))
        assert found.mean() < 0.6
        assert (found & defect).sum() > 0.97 * defect.sum()
    for file in tiles:
        assert estimate_foreground(np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])).mean() >= 0.99
