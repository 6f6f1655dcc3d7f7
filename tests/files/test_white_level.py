# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The range of deep images is that of the set, not that of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.image_reader import ImageReader
from anomalib_stage.files.pixels import convert_to_rgb, encode_png, reduce_to_eight_bit
from anomalib_stage.files.white_level import find_white_level
from tests.files.pictures import draw_surface, write_picture

if TYPE_CHECKING:
    from pathlib import Path


def write_deep(path: Path, largest: int) -> Path:
    pixels = np.zeros((8, 8), np.uint16)
    pixels[0, 0] = largest
    path.write_bytes(encode_png(pixels))
    return path


@pytest.mark.parametrize(
    ("largest", "white"),
    [(200, 255), (255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4000, 4095), (16383, 16383), (16384, 65535)],
)
def test_white_is_the_range_of_the_smallest_sensor_that_holds_every_image(
    tmp_path: Path, largest: int, white: int
) -> None:
    paths = [write_deep(tmp_path / "a.png", 100), write_deep(tmp_path / "b.png", largest)]
    assert find_white_level(paths) == white


def test_a_given_white_is_taken_and_a_pixel_above_it_refused(tmp_path: Path) -> None:
    path = write_deep(tmp_path / "a.png", 900)
    assert find_white_level([path], given=4095) == 4095
    with pytest.raises(DataError, match="a.png: a pixel is 900, above the white level of 800"):
        find_white_level([path], given=800)
    with pytest.raises(InputError, match="--white-level is 0; give the largest value"):
        find_white_level([path], given=0)


def test_sets_of_8_bit_have_no_white_level_and_a_given_one_is_said_to_be_of_no_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_picture(tmp_path / "a", "PNG RGB", draw_surface(0))
    assert find_white_level([path], given=4095) is None
    assert "has no effect" in caplog.text


def test_alpha_is_no_light(tmp_path: Path) -> None:
    rgba = np.full((8, 8, 4), 65535, np.uint16)
    rgba[..., :3] = 900
    (tmp_path / "a.png").write_bytes(encode_png(rgba))
    assert find_white_level([tmp_path / "a.png"]) == 1023


@pytest.mark.parametrize("kind", ["TIFF 12 bit in 16", "TIFF 10 bit in 16", "TIFF 16 bit grey", "PGM 12 bit"])
def test_a_camera_is_read_like_the_8_bit_picture_of_the_same_surface(tmp_path: Path, kind: str) -> None:
    surface = draw_surface(1)
    surface[0, 0] = 255  # so that the range is used
    path = write_picture(tmp_path / "x", kind, surface)
    read = ImageReader([path]).read(path)
    assert np.abs(read[..., 0].astype(int) - surface[..., 1]).max() <= 1


@given(st.integers(1, 65535), st.lists(st.integers(0, 65535), min_size=1, max_size=30))
def test_reduction_is_the_nearest_level_and_keeps_black_and_white(white: int, values: list[int]) -> None:
    stored = np.minimum(np.array([[0, white, *values]], dtype=np.uint16), white)
    reduced = reduce_to_eight_bit(stored, white)
    assert reduced[0, 0] == 0
    assert reduced[0, 1] == 255
    assert np.abs(reduced / 255 - stored / white).max() <= 0.5 / 255 + 1e-9
    assert np.allclose(convert_to_rgb(stored, white)[..., 0], stored / white, atol=1e-6)


def test_the_full_range_is_reduced_as_before() -> None:
    stored = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(reduce_to_eight_bit(stored), (stored.astype(np.uint32) + 128) // 257)
