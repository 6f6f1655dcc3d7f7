# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""One reader for masks: what anomalib reads as anomalous is anomalous."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from anomalib.data.utils import read_mask as read_as_host
from PIL import Image

from anomalib_stage.errors import DataError
from anomalib_stage.files.masks import load_mask, read_mask

SPOT, BAR = np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
cv2.circle(SPOT, (20, 15), 6, 1, -1)
cv2.rectangle(BAR, (5, 30), (25, 34), 1, -1)
BOTH = (SPOT | BAR) > 0


def palette(indices: np.ndarray, colours: list[int]) -> Image.Image:
    picture = Image.fromarray(indices, "P")
    picture.putpalette(colours)
    return picture


WRITTEN = {
    "0 and 255": Image.fromarray((SPOT | BAR) * 255),
    "0 and 1": Image.fromarray(SPOT | BAR),
    "class numbers": Image.fromarray(SPOT + 2 * BAR),
    "255 and 100": Image.fromarray(SPOT * 255 + BAR * 100),
    "1 bit": Image.fromarray(BOTH),
    "red": Image.fromarray(np.dstack([(SPOT | BAR) * 255, 0 * SPOT, 0 * SPOT])),
    "green and red": Image.fromarray(np.dstack([BAR * 255, SPOT * 255, 0 * SPOT])),
    "dark blue": Image.fromarray(np.dstack([0 * SPOT, 0 * SPOT, SPOT | BAR])),
    "palette": palette(SPOT + 2 * BAR, [0, 0, 0, 128, 0, 0, 0, 128, 0]),
    "grey with alpha": Image.merge("LA", [Image.fromarray((SPOT | BAR) * 9), Image.new("L", (50, 40), 255)]),
    "colour with alpha": Image.merge("RGBA", [Image.fromarray((SPOT | BAR) * 200)] * 3 + [Image.fromarray(SPOT * 0)]),
    "16 bit": Image.fromarray((SPOT + 300 * BAR.astype(np.uint16)).astype(np.uint16)),
}


def save(path: Path, picture: Image.Image) -> Path:
    picture.save(path)
    return path


@pytest.mark.parametrize("name", WRITTEN)
def test_every_level_and_colour_above_black_is_marked(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "m.png", WRITTEN[name])
    assert np.array_equal(read_mask(path, size=(40, 50), image=Path("i.png")), BOTH)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "dark blue"])
def test_what_anomalib_reads_as_anomalous_is_anomalous(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "m.png", WRITTEN[name])
    host = read_as_host(path, as_tensor=True).numpy() > 0
    assert np.array_equal(read_mask(path, size=(40, 50), image=Path("i.png")), host)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm", ".webp", ".jpg"])
def test_masks_are_read_in_every_format_that_anomalib_reads(tmp_path: Path, suffix: str) -> None:
    picture, options = Image.fromarray((SPOT | BAR) * 255), {".webp": {"lossless": True}, ".jpg": {"quality": 90}}
    picture.save(tmp_path / f"m{suffix}", {".tif": "TIFF", ".pgm": "PPM"}.get(suffix), **options.get(suffix, {}))
    found = read_mask(tmp_path / f"m{suffix}", size=(40, 50), image=Path("i.png"))
    if suffix == ".jpg":
        assert np.mean(found != BOTH) < 0.01
    else:
        assert np.array_equal(found, BOTH)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_traces_of_compression_are_no_defect_and_weaker_classes_are(tmp_path: Path, quality: int) -> None:
    mask = np.kron(SPOT * 255 + BAR * 100, np.ones((4, 4), np.uint8))
    Image.fromarray(mask).save(tmp_path / "m.jpg", quality=quality)
    host = read_as_host(tmp_path / "m.jpg", as_tensor=True).numpy() > 0
    found = load_mask(tmp_path / "m.jpg").pixels
    wrong = np.mean(found != (mask > 0))
    assert wrong < 0.01
    assert np.mean(host != (mask > 0)) > wrong


def test_levels_are_told(tmp_path: Path) -> None:
    assert load_mask(save(tmp_path / "m.png", WRITTEN["255 and 100"])).levels == (100, 255)
    assert load_mask(save(tmp_path / "m.png", WRITTEN["0 and 255"])).levels == (255,)


def test_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    save(tmp_path / "m.png", WRITTEN["0 and 255"])
    with pytest.raises(DataError, match="m.png: mask is 50x40 px, but its image i.png is 60x40 px"):
        read_mask(tmp_path / "m.png", size=(40, 60), image=Path("i.png"))


def test_a_mask_that_fits_only_the_turned_picture_is_refused_with_exif_and_the_cure(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (40, 50)).save(tmp_path / "i.jpg", exif=tags)
    save(tmp_path / "m.png", WRITTEN["0 and 255"])
    with pytest.raises(DataError, match=r"m.png: mask is 50x40 px, but .*i.jpg is 40x50 px.*EXIF.*exif_transpose"):
        read_mask(tmp_path / "m.png", size=(50, 40), image=tmp_path / "i.jpg")


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (Image.fromarray(SPOT * 0), "every pixel is 0"),
        (palette(SPOT, [0] * 6), "its palette paints every index black"),
    ],
)
def test_an_empty_mask_is_refused_with_the_reason(tmp_path: Path, picture: Image.Image, why: str) -> None:
    save(tmp_path / "m.png", picture)
    with pytest.raises(
        DataError, match=f"m.png: mask is empty; remove it, or mark at least one pixel with 255 .{why}."
    ):
        load_mask(tmp_path / "m.png")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", np.full((8, 8), np.nan, np.float32))
    with pytest.raises(DataError, match="m.tif: mask has values that are no numbers"):
        load_mask(tmp_path / "m.tif")
