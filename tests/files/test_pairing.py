# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Masks and images belong together by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.errors import DataError
from anomalib_stage.files.pairing import MaskNames, find_masks, natural_key

STEMS = st.text("ab01_.", min_size=1, max_size=5).filter(lambda stem: not stem.startswith(".") and stem[-1] != ".")
PATHS = st.builds("/".join, st.tuples(st.sampled_from(["good", "lineA/good", "lineB/good"]), STEMS))


def match(images: list[str], masks: list[str], shortest: int = 1) -> dict[str, str]:
    return MaskNames(Path("masks"), masks, shortest=shortest).match(images)


@pytest.mark.parametrize(
    "mask", ["017_mask.png", "017.png", "017.bmp", "017.pgm", "017.TIF", "017.jpg_mask.png", "017.jpg.webp", "017.jpg"]
)
def test_a_mask_has_the_name_of_its_image_in_any_format(mask: str) -> None:
    assert match(["crack/017.jpg"], [f"crack/{mask}", "crack/018.png"]) == {"crack/017.jpg": f"crack/{mask}"}


def test_the_marked_name_comes_before_the_bare_one() -> None:
    assert match(["017.jpg"], ["017.png", "017_mask.png"]) == {"017.jpg": "017_mask.png"}


def test_the_longest_tail_of_the_path_decides() -> None:
    images = ["data/lineA/good/000.png", "data/lineB/good/000.png", "data/lineC/good/001.png"]
    masks = ["lineA/good/000.png", "good/000.png", "001_mask.png"]
    assert match(images, masks) == dict(zip(images, masks, strict=True))
    assert match(images, ["001_mask.png"], shortest=2) == {}


@pytest.mark.parametrize(
    ("masks", "own"),
    [
        (["000.png", "000.bmp"], ["000.png", "000.bmp"]),
        (["000_mask.png", "000_mask.bmp"], ["000_mask.png", "000_mask.bmp"]),
        (["000.png_mask.png", "000.bmp_mask.png"], ["000.png_mask.png", "000.bmp_mask.png"]),
        (["000_mask.png", "000.bmp.png"], ["000_mask.png", "000.bmp.png"]),
    ],
)
def test_images_that_differ_in_the_suffix_can_have_masks_of_their_own(masks: list[str], own: list[str]) -> None:
    assert match(["000.png", "000.bmp"], masks) == dict(zip(["000.png", "000.bmp"], own, strict=True))


def test_two_images_never_share_a_mask() -> None:
    with pytest.raises(DataError, match=r"masks/000\.png would be the mask of two images, 000\.png and 000\.bmp;"):
        match(["000.png", "000.bmp"], ["000.png"])
    with pytest.raises(DataError, match=r"two images, a/000\.png and b/000\.png; put the masks into sub-folders"):
        match(["a/000.png", "b/000.png"], ["000.png"])
    names = MaskNames(Path("masks"), ["000.png"])
    assert names.match(["a/000.png"]) == names.match(["a/000.png"]) == {"a/000.png": "000.png"}
    with pytest.raises(DataError, match=r"two images, a/000\.png and b/000\.png"):
        names.match(["b/000.png"])


def test_an_image_with_two_masks_is_refused() -> None:
    with pytest.raises(DataError, match=r"000\.jpg: 2 files could be its mask, such as masks/000\.png and masks/"):
        match(["000.jpg"], ["000.png", "000.tif"])


@given(st.dictionaries(PATHS, st.sampled_from([".png", ".bmp"])), st.lists(PATHS, unique=True))
def test_whatever_the_names_are_each_mask_is_of_one_image(images: dict[str, str], masks: list[str]) -> None:
    named = [path + suffix for path, suffix in images.items()]
    try:
        found = match(named, [f"{mask}.png" for mask in masks])
    except DataError:
        return
    assert len(set(found.values())) == len(found)
    assert set(found) <= set(named)


@given(st.sets(PATHS, min_size=1), st.sampled_from(["", "_mask"]), st.randoms())
def test_images_with_masks_in_the_same_folders_find_them_all(stems: set[str], mark: str, random: object) -> None:
    if any(f"{stem}_mask" in stems or any(other.startswith(f"{stem}.") for other in stems) for stem in stems):
        return
    images, masks = [f"{stem}.jpg" for stem in stems], [f"{stem}{mark}.png" for stem in stems]
    random.shuffle(masks)  # type: ignore[attr-defined]
    assert match(images, masks) == {f"{stem}.jpg": f"{stem}{mark}.png" for stem in stems}


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_in_names_are_sorted_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"m{number}_x.png" for number in numbers), key=natural_key)
    assert names == [f"m{number}_x.png" for number in sorted(numbers)]


@given(
    st.lists(st.text(max_size=8), unique=True).flatmap(lambda names: st.tuples(st.just(names), st.permutations(names)))
)
def test_any_names_have_one_order(names: tuple[list[str], list[str]]) -> None:
    assert sorted(names[0], key=natural_key) == sorted(names[1], key=natural_key)


def test_masks_are_found_in_the_hosts_formats_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("10.png", "2.PGM", "1.webp", "notes.txt", ".thumb.png", ".trash/3.png", "deep/4.ppm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert find_masks(tmp_path) == ["1.webp", "2.PGM", "10.png", "deep/4.ppm"]
    with pytest.raises(DataError, match="no such folder"):
        find_masks(tmp_path / "nowhere")
