# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from anomalib.data.utils import get_image_filenames
from torchvision.datasets.folder import IMG_EXTENSIONS

from anomalib_stage.errors import DataError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.images import SUFFIXES, find_images, load_image, read_image
from anomalib_stage.files.pixels import encode_png

RGB = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def write(path: Path, pixels: np.ndarray) -> Path:
    """Write stored channels, in OpenCV's order."""
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize(
    ("stored", "expected", "conversions"),
    [
        (RGB[..., ::-1], RGB, ()),
        (GREY, np.dstack([GREY] * 3), ("grey repeated in three channels",)),
        (np.dstack([RGB[..., ::-1], GREY]), RGB, ("alpha dropped",)),
        (RGB[..., ::-1].astype(np.uint16) * 257, RGB, ("16 bit reduced to 8",)),
        (
            np.minimum(GREY.astype(np.uint32) * 257 + 100, 65535).astype(np.uint16),
            np.dstack([GREY] * 3),
            ("16 bit reduced to 8", "grey repeated in three channels"),
        ),
    ],
    ids=["rgb", "grey", "rgba", "rgb 16 bit", "grey 16 bit"],
)
def test_every_stored_kind_becomes_eight_bit_rgb(
    tmp_path: Path, stored: np.ndarray, expected: np.ndarray, conversions: tuple[str, ...]
) -> None:
    pixels, made, _ = load_image(write(tmp_path / "x.png", stored))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, expected)
    assert made == conversions


def test_float_pixels_are_refused_and_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tiff", GREY.astype(np.float32) / 255)
    with pytest.raises(DataError, match="x.tiff: 1 channels of float32"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.2, 0.7])
def test_truncated_files_are_refused_by_name(tmp_path: Path, suffix: str, kept: float) -> None:
    path = write(tmp_path / f"x{suffix}", RGB)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=f"x{suffix}: not a readable image"):
        read_image(path)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nope.png: cannot be read"):
        read_image(tmp_path / "nope.png")


def test_orientation_tag_is_not_applied(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jpg", RGB[..., ::-1])
    plain, data = read_image(path), path.read_bytes()
    # an APP1 segment with one tag, orientation = 6 (turned by 90 degrees), right after the start of the image
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:])
    assert np.array_equal(read_image(path), plain)


def test_images_are_found_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ("b/z.JPG", "a.png", "c.webp", ".hidden.png", "notes.txt", "b/.a.png.part"):
        write_file(tmp_path / name, b"x")
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == ["a.png", "b/z.JPG", "c.webp"]


def test_what_desktops_and_systems_leave_behind_is_passed_over_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passed = (".Trash-1000/files/1.png", ".ipynb_checkpoints/2.png", "@eaDir/3.png", "__MACOSX/deep/4.png", "._5.png")
    for name in ("a.png", "b/c.pgm", "notes.txt", "d.gif", *passed):
        write_file(tmp_path / name, b"x")
    with caplog.at_level("INFO"):
        found = find_images(tmp_path)
        assert find_images(tmp_path) == found == [tmp_path / "a.png", tmp_path / "b" / "c.pgm"]
    said = [record.getMessage() for record in caplog.records]
    folders = "1 in .Trash-1000, 1 in .ipynb_checkpoints, 1 in @eaDir, 1 in __MACOSX, 1 in hidden files"
    assert said == [
        f"{tmp_path}: left out {folders}",
        f"{tmp_path}: files that are no images here: 1 in .gif, 1 in .txt",
    ]


def test_a_folder_inside_a_hidden_one_is_searched_when_it_is_given(tmp_path: Path) -> None:
    write_file(tmp_path / ".cache" / "good" / "a.png", b"x")
    assert find_images(tmp_path / ".cache" / "good") == [tmp_path / ".cache" / "good" / "a.png"]
    with pytest.raises(DataError, match="no image in it .*left out 1 in .cache"):
        find_images(tmp_path)


def test_linked_folders_are_passed_over_as_in_anomalib_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_file(tmp_path / "elsewhere" / "b.png", b"x")
    write_file(tmp_path / "good" / "a.png", b"x")
    (tmp_path / "good" / "more").symlink_to(tmp_path / "elsewhere")
    assert find_images(tmp_path / "good") == [tmp_path / "good" / "a.png"] == get_image_filenames(tmp_path / "good")
    assert "linked folder more" in caplog.text


def test_the_endings_of_images_are_those_of_anomalib() -> None:
    assert set(IMG_EXTENSIONS) == set(SUFFIXES)


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image in it"):
        find_images(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_images(tmp_path / "nope")


@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_png_is_lossless_and_reproducible(tmp_path: Path, pixels: np.ndarray) -> None:
    write_file(tmp_path / "x.png", encode_png(pixels))
    expected = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    assert np.array_equal(read_image(tmp_path / "x.png"), expected)
    assert encode_png(pixels) == encode_png(pixels.copy())


def test_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x.png" / "full").mkdir(parents=True)  # a folder stands where the file should go
    with pytest.raises(DataError, match="x.png: cannot be written"):
        write_file(tmp_path / "x.png", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "x.png", b"data")
    assert list(tmp_path.iterdir()) == []
