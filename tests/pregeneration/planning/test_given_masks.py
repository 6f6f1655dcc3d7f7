# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which given mask goes to which image."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.errors import DataError
from anomalib_stage.pregeneration.planning.given_masks import GivenMasks, plan_given_masks

FOLDER = Path("masks")
STEMS = st.sets(st.builds("{}{:03d}".format, st.sampled_from(["", "more/"]), st.integers(0, 40)), min_size=1)


def decide(masks: list[str], images: list[str], painted: list[str] | None = None, count: int = 100) -> GivenMasks:
    return plan_given_masks(FOLDER, masks, images=images, painted=images if painted is None else painted, count=count)


def test_masks_with_the_names_of_images_go_to_them() -> None:
    images = ["1.png", "10.png", "2.png"]
    masks = ["1_mask.png", "10_mask.png", "2_mask.png"]
    assert decide(masks[::-1], images).in_turn == masks


def test_sub_folders_and_file_names_say_whose_mask_it_is() -> None:
    images = ["a/000.png", "b/000.png", "c/001.jpg", "002.bmp"]
    masks = ["a/000.png", "b/000_mask.tif", "001.png", "elsewhere/002.png"]
    assert decide(masks, images).in_turn == masks


def test_without_a_common_name_masks_are_used_in_turn_in_the_order_of_their_numbers_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="anomalib_stage"):
        given = decide(["m1.png", "m10.png", "m11.png", "m2.png"], ["000.png", "001.png"])
    assert given.in_turn == given.listed == ["m1.png", "m2.png", "m10.png", "m11.png"]
    assert [record.message for record in caplog.records] == [
        "--masks: none of 4 masks has the name of an image; used in turn: m1.png, m2.png, m10.png, ..."
    ]


@pytest.mark.parametrize(
    ("masks", "images", "complaint"),
    [
        (
            ["000.png", "002.png"],
            ["000.png", "001.png", "002.png"],
            r"2 masks have the names of images, and the image 001\.png has no mask \(001\.png or 001_mask\.png\); in "
            r"all 1 of 3 images to paint have none, and 0 of 2 masks are of no image",
        ),
        (["000.png", "x.png", "y.png"], ["000.png"], r"the mask x\.png is of no image; .* and 2 of 3 masks are of no"),
        (["000.png"], ["000.png", "000.bmp"], r"masks/000\.png would be the mask of two images, 000\.png and 000\.bmp"),
        (["000.png"], ["a/000.png", "b/000.png"], r"two images, a/000\.png and b/000\.png; .* sub-folders"),
        (["x/000.png", "y/000.png"], ["000.png"], r"2 files could be its mask, such as masks/x/000\.png and masks/y/0"),
        (["x/000.png"], ["a/000.png", "b/000.png"], r"two images, a/000\.png and b/000\.png"),
    ],
)
def test_names_that_match_in_part_or_twice_are_refused_with_the_first(
    masks: list[str], images: list[str], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        decide(masks, images)


def test_images_that_are_not_painted_may_have_masks_or_not() -> None:
    images = [f"{i:03d}.png" for i in range(5)]
    given = decide(images[:4], images, painted=images[:2], count=2)
    assert given == GivenMasks(images[:2], images[:4])
    given = decide(images, images, painted=[images[0], images[2]], count=9)  # 001 cannot be read
    assert given == GivenMasks([images[0], images[2]], [images[0], images[2]])


@given(STEMS, st.sampled_from(["", "_mask"]), st.integers(1, 100), st.randoms())
def test_each_image_gets_its_own_mask_whatever_the_order(
    stems: set[str], mark: str, count: int, random: object
) -> None:
    images = sorted(f"{stem}.jpg" for stem in stems)
    masks = [f"{stem}{mark}.png" for stem in stems]
    random.shuffle(masks)  # type: ignore[attr-defined]
    given = decide(masks, images, painted=images[:count], count=count)
    assert given.in_turn == [image.replace(".jpg", f"{mark}.png") for image in images[:count]]


@given(st.sets(st.integers(0, 300), min_size=1), st.integers(1, 400))
def test_what_version_0_1_0_painted_with_the_same_masks_is_the_same_job(numbers: set[int], count: int) -> None:
    """0.1.0 sorted images and masks as text, used both in turn, and digested the sorted masks."""
    images = sorted(f"{number}.png" for number in numbers)
    for mark in ("", "_mask"):
        before = sorted(f"{number}{mark}.png" for number in numbers)
        painted = images[:count]
        given = decide(before[::-1], images, painted=painted, count=count)
        then = [(painted[i % len(painted)], before[i % len(before)]) for i in range(count)]
        now = [(painted[i % len(painted)], given.in_turn[i % len(given.in_turn)]) for i in range(count)]
        assert given.listed != before or then == now
        assert mark or given.listed == before
