# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Defects and masks among good images are refused, by one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from anomalib_stage.errors import DataError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.good_folder import check_no_masks, find_good, is_two_valued

if TYPE_CHECKING:
    from pathlib import Path

GOOD = ("1.png", "2.png")


def lay_out(root: Path, *names: str) -> Path:
    for name in names:
        write_file(root / name, b"x")
    return root


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("ground_truth/crack/1_mask.png", "ground_truth/crack/2_mask.png"), 2),
        (("masks/1.png",), 1),
        (("Labels/deep/1.bmp",), 1),
        (("defects/1.png", "NG/2.png"), 2),
        (("good/1.png", "crack/1.png", "hole/deep/2.png"), 2),
        (("line/good/1.png", "line/crack/1.png"), 1),
        (("test/crack/1.png",), 1),
        (("test/good/3.png", "test/crack/1.png", "ground_truth/crack/1_mask.png"), 2),
        (("bottle/train/good/1.png", "bottle/test/broken_large/1.png", "bottle/test/good/1.png"), 1),
        (("Part0.png", "Part0_label.bmp"), 1),
        (("Normal/1.png", "Anomaly/1.png"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_pictures_where_data_sets_keep_defects_and_masks_are_refused_and_counted(
    tmp_path: Path, names: tuple[str, ...], count: int
) -> None:
    root = lay_out(tmp_path / "set", *GOOD, *names)
    with pytest.raises(DataError, match=rf"--data .*set: {count} of {len(names) + 2} pictures are not good images"):
        find_good(root, flag="--data")


@pytest.mark.parametrize(
    "names",
    [
        GOOD,
        ("camera1/1.png", "camera2/1.png"),
        ("train/1.png", "test/1.png"),
        ("ok/1.png", "train/ok/2.png"),
        ("good/train/1.png", "good/test/2.png"),
        ("test/line1/good/1.png", "test/line2/good/1.png"),
        ("1_mask.png", "2_mask.png"),
    ],
)
def test_folders_of_good_images_are_taken_however_they_are_laid_out(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = lay_out(tmp_path / "labels", *names)  # a product may be called that
    assert find_good(root, flag="--data") == (root, sorted(root / name for name in names))


def test_a_data_set_root_is_its_train_good_for_every_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = lay_out(tmp_path, "train/good/1.png", "test/crack/1.png", "ground_truth/crack/1_mask.png")
    with caplog.at_level("INFO"):
        assert find_good(root, flag="--data") == (root / "train" / "good", [root / "train" / "good" / "1.png"])
    assert "good images are taken from" in caplog.text


def test_folders_given_for_defects_are_refused_among_good_images(tmp_path: Path) -> None:
    root = lay_out(tmp_path, "surface/1.png", "scratches/1.png")
    with pytest.raises(DataError, match="1 of 2 pictures are not good images .1 in scratches, which is given"):
        find_good(root, flag="--data", apart_from=(root / "scratches", None))


def test_the_message_points_at_the_good_ones(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "set", "good/1.png", "crack/1.png")
    with pytest.raises(DataError, match=r"alone such as .*set/good"):
        find_good(root, flag="--data")


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.eye(8, dtype=np.uint8) * 255, True),
        (np.eye(8, dtype=np.uint8), True),
        (np.dstack([np.eye(8, dtype=np.uint8) * 255] * 3), True),
        (np.dstack([np.eye(8, dtype=np.uint8) * 255, np.zeros((8, 8, 2), np.uint8)]), False),
        (np.zeros((8, 8), np.uint8), False),
        (np.full((8, 8), 255, np.uint8), False),
        (np.arange(64, dtype=np.uint8).reshape(8, 8), False),
    ],
)
def test_black_and_one_other_level_looks_like_a_mask(pixels: np.ndarray, expected: bool) -> None:
    assert is_two_valued(pixels) is expected


def test_masks_among_images_are_refused_by_what_they_show(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="1 of 3 pictures look like masks"):
        check_no_masks([tmp_path / "x.png"], count=3, root=tmp_path, flag="--data")
    check_no_masks([tmp_path / "x.png"] * 19, count=20, root=tmp_path, flag="--data")  # black and white
    assert "are these masks?" in caplog.text
    with pytest.raises(DataError, match="1 of 1 pictures look like masks"):
        check_no_masks([tmp_path / "masks" / "x.png"], count=1, root=tmp_path / "masks", flag="--data")
