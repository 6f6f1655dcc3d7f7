# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Images are decoded as anomalib reads them; deeper files keep their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import tifffile
from anomalib.data.utils import read_image as read_as_host
from PIL import Image

from anomalib_stage.errors import DataError
from anomalib_stage.files.decoding import decode_stored, is_deep_file
from anomalib_stage.files.images import read_image
from anomalib_stage.files.pixels import encode_png
from tests.files.pictures import DEEP, EIGHT_BIT, draw_surface, write_picture

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [  # anomalib's reader leaves files of several pages open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SHAPES = {"PNG grey": (64, 64), "PNG grey + alpha": (64, 64, 2), "TIFF RGBA": (64, 64, 4), "JPEG CMYK": (64, 64, 3)}


def host_pixels(path: Path) -> np.ndarray:
    return np.round(read_as_host(path) * 255).astype(np.uint8)


@pytest.mark.parametrize("kind", EIGHT_BIT)
def test_every_eight_bit_format_is_read_as_anomalib_reads_it(tmp_path: Path, kind: str) -> None:
    path = write_picture(tmp_path / "x", kind, draw_surface(0))
    stored = decode_stored(path.read_bytes(), path)
    assert np.array_equal(read_image(path), host_pixels(path))
    assert stored.pixels.dtype == np.uint8
    assert stored.pixels.shape == SHAPES.get(kind, stored.pixels.shape)
    assert not is_deep_file(path)


@pytest.mark.parametrize("kind", EIGHT_BIT)
def test_what_is_kept_of_a_file_is_read_by_anomalib_like_the_file(tmp_path: Path, kind: str) -> None:
    path = write_picture(tmp_path / "x", kind, draw_surface(1))
    copy = tmp_path / "copy.png"
    copy.write_bytes(encode_png(decode_stored(path.read_bytes(), path).pixels))
    assert np.array_equal(host_pixels(copy), host_pixels(path))


@pytest.mark.parametrize("kind", DEEP)
def test_deeper_files_keep_their_values(tmp_path: Path, kind: str) -> None:
    surface = draw_surface(2)
    path = write_picture(tmp_path / "x", kind, surface)
    pixels = decode_stored(path.read_bytes(), path).pixels
    factor = 16 if "12 bit" in kind else 4 if "10 bit" in kind else 257
    expected = surface[..., 1] if "RGB" not in kind else surface
    assert is_deep_file(path)
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels if pixels.ndim == 2 else pixels[..., :3], expected.astype(np.uint16) * factor)


def test_packed_and_big_endian_tiff_of_12_bit_have_their_values(tmp_path: Path) -> None:
    grey = draw_surface(3)[..., 0].astype(np.uint16) * 16
    tifffile.imwrite(tmp_path / "big.tif", grey.astype(">u2"), byteorder=">")
    path = tmp_path / "big.tif"
    assert np.array_equal(decode_stored(path.read_bytes(), path).pixels, grey)


@pytest.mark.parametrize(
    ("name", "pixels", "message"),
    [
        ("float.tif", np.zeros((8, 8), np.float32), "1 channels of float32"),
        ("signed.tif", np.zeros((8, 8), np.int16), "1 channels of int16"),
        ("wide.tif", np.zeros((8, 8), np.uint32), "1 channels of uint32"),
    ],
)
def test_depths_that_cannot_be_kept_are_refused(tmp_path: Path, name: str, pixels: np.ndarray, message: str) -> None:
    tifffile.imwrite(tmp_path / name, pixels)
    with pytest.raises(DataError, match=f"{name}: {message}; convert it to 8 or 16 bit"):
        read_image(tmp_path / name)


def test_grey_with_alpha_of_16_bit_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    rgba = np.zeros((8, 8, 4), np.uint16)
    data = bytearray(cv2.imencode(".png", rgba)[1].tobytes())
    data[25] = 4  # the type of colour; what follows does not matter, as the header says enough
    path.write_bytes(bytes(data))
    with pytest.raises(DataError):
        read_image(path)


def test_orientation_of_jpeg_is_noticed_and_not_applied(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "x", "JPEG EXIF", draw_surface(4))
    assert decode_stored(path.read_bytes(), path).orientation == 6
    assert np.array_equal(read_image(path), host_pixels(path))
    with Image.open(path) as picture:
        assert np.array_equal(read_image(path), np.asarray(picture))


def test_only_the_first_of_several_pages_is_read_and_that_is_said(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "x", "TIFF multi-page", draw_surface(5))
    assert decode_stored(path.read_bytes(), path).converted == ("first of 2 pages read",)
