# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Each picture of a defect has a mask and a name of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from anomalib_stage.errors import DataError
from anomalib_stage.training.data.defect_files import name_pictures
from anomalib_stage.training.data.load import load_examples
from anomalib_stage.training.data.training_data import load_training_data

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, row: int | None = None) -> None:
    """Write a picture, or a mask with one row marked."""
    pixels = np.full((16, 12), 90 if row is None else 0, np.uint8)
    if row is not None:
        pixels[row] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert("RGB").save(path)


def load(root: Path, include: dict[str, list[str]] | None = None, rename: dict[str, str] | None = None) -> list[tuple]:
    found = load_examples(root / "test", root / "masks", include=include, rename=rename or {})
    return [(one.defect, one.name, int(one.mask.any(axis=1).argmax())) for one in found]


@pytest.mark.parametrize("mask", ["000.bmp", "000_mask.tif", "000.TIFF", "000_mask.bmp", "000.png.png"])
def test_a_mask_may_have_any_format(tmp_path: Path, mask: str) -> None:
    write(tmp_path / "test" / "dent" / "000.png")
    write(tmp_path / "masks" / "dent" / mask, 3)
    assert load(tmp_path) == [("dent", "000", 3)]


def test_pictures_that_differ_in_the_suffix_never_share_a_mask(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        write(tmp_path / "test" / "dent" / f"000.{suffix}")
    write(tmp_path / "masks" / "dent" / "000.png", 3)
    with pytest.raises(DataError, match=r"dent/000\.png would be the mask of two images, .*/000\.bmp and .*/000\.png"):
        load(tmp_path)
    write(tmp_path / "masks" / "dent" / "000.bmp", 5)
    assert load(tmp_path) == [("dent", "dent/000.bmp", 5), ("dent", "dent/000.png", 3)]
    (tmp_path / "masks" / "dent" / "000.bmp").unlink()
    write(tmp_path / "masks" / "dent" / "000.bmp_mask.png", 7)
    assert load(tmp_path) == [("dent", "dent/000.bmp", 7), ("dent", "dent/000.png", 3)]


def test_a_stem_of_a_split_that_is_two_pictures_is_refused(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        write(tmp_path / "test" / "dent" / f"000.{suffix}")
        write(tmp_path / "masks" / "dent" / f"000.{suffix}", 3)
    write(tmp_path / "test" / "dent" / "001.png")
    write(tmp_path / "masks" / "dent" / "001.png", 4)
    with pytest.raises(DataError, match=r"1 of 2 defects that could be two pictures: dent/000 is .*000\.bmp or .*00"):
        load(tmp_path, {"dent": ["000", "001"]})
    assert load(tmp_path, {"dent": ["001"]}) == [("dent", "001", 4)]


def test_sub_folders_of_masks_like_those_of_the_pictures_come_first(tmp_path: Path) -> None:
    for row, line in enumerate(("lineA", "lineB"), start=1):
        write(tmp_path / "test" / line / "dent" / "000.png")
        write(tmp_path / "masks" / line / "dent" / "000_mask.png", row)
    assert load(tmp_path) == [("dent", "lineA/dent/000.png", 1), ("dent", "lineB/dent/000.png", 2)]
    (tmp_path / "masks" / "lineA").rename(tmp_path / "moved")
    (tmp_path / "masks" / "lineB" / "dent").rename(tmp_path / "masks" / "dent")
    with pytest.raises(DataError, match=r"would be the mask of two images, .*lineA/dent/000\.png and .*lineB/dent"):
        load(tmp_path)


def test_folders_that_become_one_defect_keep_their_pictures_apart(tmp_path: Path) -> None:
    for row, defect in enumerate(("dent", "ding")):
        write(tmp_path / "test" / defect / "000.png")
        write(tmp_path / "masks" / defect / "000.png", row)
    assert load(tmp_path, rename={"ding": "dent"}) == [("dent", "dent/000.png", 0), ("dent", "ding/000.png", 1)]


def test_a_picture_is_not_its_own_mask(tmp_path: Path) -> None:
    write(tmp_path / "test" / "dent" / "000.png")
    with pytest.raises(DataError, match=r"000\.png is the picture itself, not a mask of it"):
        load_examples(tmp_path / "test", tmp_path / "test", include=None, rename={})


def test_masks_without_a_picture_are_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in range(3):
        write(tmp_path / "masks" / "dent" / f"{i:03d}_mask.png", i)
    write(tmp_path / "test" / "dent" / "001.png")
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        assert load(tmp_path) == [("dent", "001", 1)]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/masks: 2 masks are of no picture, such as dent/000_mask.png; are their pictures missing, or named "
        "otherwise?"
    ]
    caplog.clear()
    for i in range(3):
        write(tmp_path / "test" / "dent" / f"{i:03d}.png")
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        load(tmp_path, {"dent": ["001"]})
    assert caplog.text == ""


def test_groups_of_no_picture_and_of_pictures_in_several_folders_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for defect in ("dent", "line"):
        write(tmp_path / "test" / defect / "000.png")
        write(tmp_path / "masks" / defect / "000.png", 1)
    said = []
    for groups in ({"000": "a"}, {"000": "a", "line/000": "b"}, {"00": "a"}, {}):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
            load_examples(tmp_path / "test", tmp_path / "masks", include=None, rename={}, groups=groups)
        said.append(caplog.text)
    assert "1 stems of the groups, such as 000, are of pictures in several folders (dent, line)" in said[0]
    assert said[1] == said[3] == ""
    assert "none of the 1 groups, such as 00, is of a picture here" in said[2]


def test_pictures_kept_for_the_test_are_all_compared(tmp_path: Path) -> None:
    for name in ("000.png", "000.bmp", "001.png"):
        write(tmp_path / "test" / "dent" / name)
    write(tmp_path / "masks" / "dent" / "001.png", 1)
    (tmp_path / "split.json").write_text('{"dent": {"fit": ["001"], "eval": ["000"]}}')
    chosen = {"normal": None, "rename": None, "groups": None, "share": 0.0, "rotate": "never", "seed": 0}
    folders = {"defect_dir": tmp_path / "test", "defect_mask_dir": tmp_path / "masks"}
    data = load_training_data(include=tmp_path / "split.json", **folders, **chosen)
    assert set(data.evaluated) == {"dent/dent/000.bmp", "dent/dent/000.png"}


def test_names_are_stems_where_these_are_enough(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("dent/000.png", "line/000.png", "line/001.png", "line/001.jpg")]
    names = name_pictures(paths, tmp_path, rename={})
    assert list(names.values()) == ["000", "000", "line/001.png", "line/001.jpg"]
