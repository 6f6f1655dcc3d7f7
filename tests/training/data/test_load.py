# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Users' pictures and masks as they are read for a fit and for a benchmark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from anomalib_stage.errors import DataError
from anomalib_stage.evaluation.dataset import load_data
from anomalib_stage.training.data.load import load_pictures
from anomalib_stage.training.data.mask_warnings import list_mask_warnings
from anomalib_stage.training.data.upright import turn_upright
from tests.files.pictures import draw_surface, write_picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anomalib_stage.training.data.regions.example import Example

SIDE = 64


def draw_masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a spot and a bar, ``(64, 64)`` of 0 and 1."""
    rng = np.random.default_rng(seed)
    spot, bar = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(spot, (int(rng.integers(14, 50)), int(rng.integers(14, 36))), 6, 1, -1)
    cv2.rectangle(bar, (6, 52), (36, 57), 1, -1)
    return spot, bar


def save(path: Path, picture: np.ndarray | Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


def lay_out(root: Path, write: Callable[[np.ndarray, np.ndarray], object], *, count: int = 6) -> Path:
    """Write a data set in MVTec layout whose true masks are spot and bar."""
    for number in range(4):
        save(root / "train" / "good" / f"{number}.png", draw_surface(100 + number))
        save(root / "test" / "good" / f"{number}.png", draw_surface(120 + number))
    for number in range(count):
        image, (spot, bar) = draw_surface(number), draw_masks(number)
        image[(spot | bar) > 0] //= 3
        save(root / "test" / "dark" / f"{number}.png", image)
        mask = write(spot, bar)
        save(root / "ground_truth" / "dark" / f"{number}_mask.png", mask)  # type: ignore[arg-type]
    stems = [str(number) for number in range(count)]
    split = {"dark": {"fit": stems[: count // 2], "eval": stems[count // 2 :]}}
    (root / "few_shot.json").write_text(json.dumps(split))
    return root


def read_fit(root: Path) -> list[Example]:
    examples, _, _ = load_pictures(
        normal=root / "train" / "good", defect_dir=root / "test", defect_mask_dir=root / "ground_truth"
    )
    return examples


WRITERS = {
    "value 1": lambda spot, bar: spot | bar,
    "classes 1 and 2": lambda spot, bar: spot + 2 * bar,
    "levels 255 and 100": lambda spot, bar: spot * 255 + bar * 100,
    "red": lambda spot, bar: np.dstack([(spot | bar) * 255, 0 * spot, 0 * spot]),
    "green and red": lambda spot, bar: np.dstack([bar * 255, spot * 255, 0 * spot]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_masks_of_annotation_tools_are_learnt_and_scored_whole(tmp_path: Path, name: str) -> None:
    root = lay_out(tmp_path, WRITERS[name])
    truth = [(spot | bar) > 0 for spot, bar in map(draw_masks, range(6))]
    for example, mask in zip(read_fit(root), truth, strict=True):
        assert np.array_equal(example.mask, mask)
    data = load_data(root, split=root / "few_shot.json", size=SIDE)
    assert np.array_equal(data.test["dark"].masks, np.stack(truth[3:]))


def test_several_levels_are_reported_by_fit_and_benchmark(tmp_path: Path) -> None:
    root = lay_out(tmp_path, WRITERS["levels 255 and 100"])
    expected = "dark: 6 masks have several levels (100, 255; 0, 1, 2 and 3 more); as in anomalib, every level above 0"
    assert list_mask_warnings(read_fit(root))[0].startswith(expected)
    assert load_data(root, split=root / "few_shot.json", size=SIDE).warnings[0].startswith(expected)


def write_speck(spot: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.asarray((np.arange(spot.size) == 99).reshape(spot.shape) * 255, dtype=np.uint8)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda spot, bar: 255 - 255 * (spot | bar), "dark: 8 masks over more than half of the picture"),
        (lambda spot, _: 0 * spot + 255, "dark: 8 masks over more than half of the picture"),
        (write_speck, "dark: 8 defects of fewer than 4 px"),
        (lambda spot, bar: np.roll((spot | bar) * 255, 6, 0), "dark: masks look shifted; they fit better 6 px higher"),
    ],
    ids=["inverted", "full", "tiny", "shifted"],
)
def test_benchmark_has_the_doubts_that_fit_has(
    tmp_path: Path, write: Callable[[np.ndarray, np.ndarray], np.ndarray], expected: str
) -> None:
    root = lay_out(tmp_path, write, count=8)
    warnings = load_data(root, split=root / "few_shot.json", size=SIDE).warnings
    assert list(warnings) == list_mask_warnings(read_fit(root))
    assert any(expected in warning for warning in warnings)


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_pictures_are_turned_as_viewers_turn_them(orientation: int, tmp_path: Path) -> None:
    pixels, tags = draw_surface(0)[:40], Image.Exif()
    tags[0x0112] = orientation
    path = save(tmp_path / "x.png", pixels, exif=tags)
    with Image.open(path) as picture:
        assert np.array_equal(turn_upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(picture)))


def write_turned(root: Path, *, upright_masks: bool) -> Path:
    """Write square pictures with EXIF orientation 6, and masks drawn on them as shown, or as stored."""
    for number in range(6):
        shown, (spot, bar) = draw_surface(number), draw_masks(number)
        shown[(spot | bar) > 0] //= 3
        tags = Image.Exif()
        tags[0x0112] = 6
        save(root / "test" / "dark" / f"{number}.jpg", np.rot90(shown).copy(), quality=95, exif=tags)
        mask = (spot | bar) * 255
        save(root / "ground_truth" / "dark" / f"{number}_mask.png", mask if upright_masks else np.rot90(mask).copy())
        save(root / "train" / "good" / f"{number}.png", draw_surface(50 + number))
    return root


def test_masks_that_fit_only_the_picture_turned_by_exif_are_refused(tmp_path: Path) -> None:
    root = write_turned(tmp_path, upright_masks=True)
    with pytest.raises(DataError, match="dark/0 and 5 more pictures have an EXIF orientation tag.*exif_transpose"):
        read_fit(root)


def test_masks_that_fit_the_stored_picture_are_taken_and_the_tag_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    examples = read_fit(write_turned(tmp_path, upright_masks=False))
    assert all(example.image[example.mask].mean() < 80 for example in examples)
    assert sum("EXIF" in record.getMessage() for record in caplog.records) == 1
    assert "6 of 12 images have an EXIF orientation tag" in caplog.text


def test_good_images_and_defects_are_read_in_one_range(tmp_path: Path) -> None:
    root = tmp_path
    for number in range(3):
        write_picture(root / "train" / "good" / str(number), "TIFF 12 bit in 16", draw_surface(number))
        write_picture(root / "test" / "dark" / str(number), "TIFF 12 bit in 16", draw_surface(number))
        save(root / "ground_truth" / "dark" / f"{number}.png", draw_masks(number)[0] * 255)
    examples, good, reader = load_pictures(normal=root, defect_dir=root / "test", defect_mask_dir=root / "ground_truth")
    assert reader.white_level == 4095
    for number, (example, image) in enumerate(zip(examples, good, strict=True)):
        assert np.abs(example.image[..., 0].astype(int) - draw_surface(number)[..., 1]).max() <= 1
        assert np.array_equal(example.image, image)
    with pytest.raises(DataError, match="above the white level of 1023"):
        load_pictures(normal=root, defect_dir=None, defect_mask_dir=None, white_level=1023)


def test_defects_and_masks_below_the_good_folder_are_refused(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "set", WRITERS["value 1"])
    (root / "train" / "good").rename(root / "good")
    with pytest.raises(DataError, match=r"--data .*set: 16 of 20 pictures are not good images"):
        load_pictures(normal=root, defect_dir=root / "test", defect_mask_dir=root / "ground_truth")
