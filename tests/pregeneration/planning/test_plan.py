# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.good_folder import find_good_folder
from anomalib_stage.files.images import find_images
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pregeneration.planning.good_images import Source, check_outside, find_sources
from anomalib_stage.pregeneration.planning.plan import Plan, check_masks

SOURCES = [
    Source(Path(f"/good/{name}"), name, size, "a" * 64) for name, size in [("a.png", (48, 64)), ("b/a.png", (56, 40))]
]
DEFECT_NAMES = ["scratch", "hole", "stain"]


def plan(
    count: int,
    *,
    seed: int = 0,
    sources: list[Source] = SOURCES,
    masks: tuple[Path, ...] = (),
    batch_size: int = 8,
) -> Plan:
    return Plan(sources, count=count, defects=DEFECT_NAMES, masks=masks, seed=seed, batch_size=batch_size)


def test_images_are_taken_in_turn() -> None:
    assert [item.source.name for item in plan(5)] == ["a.png", "b/a.png", "a.png", "b/a.png", "a.png"]


def test_a_longer_plan_begins_with_the_shorter_one() -> None:
    assert list(plan(40))[:7] == list(plan(7))


def test_every_pair_has_its_own_seed_and_file_name() -> None:
    items = list(plan(200))
    assert len({item.seed for item in items}) == len({item.name for item in items}) == 200
    assert [item.name for item in items] == sorted(item.name for item in items)


def test_another_base_seed_gives_other_pairs() -> None:
    assert not {item.seed for item in plan(50)} & {item.seed for item in plan(50, seed=1)}


def test_seeds_depend_on_the_image_and_not_on_its_neighbours() -> None:
    alone = plan(3, sources=SOURCES[1:])
    assert [item.seed for item in alone] == [item.seed for item in list(plan(6))[1::2]]


def test_every_kind_is_drawn() -> None:
    assert {item.defect for item in plan(50)} == set(DEFECT_NAMES)


def test_masks_are_used_in_turn() -> None:
    masks = (Path("m0.png"), Path("m1.png"), Path("m2.png"))
    assert [item.mask for item in plan(4, masks=masks)] == [*masks, masks[0]]


@given(
    sizes=st.lists(st.sampled_from([(32, 32), (32, 40), (64, 32)]), min_size=1, max_size=6),
    count=st.integers(1, 30),
    batch_size=st.integers(1, 8),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_batches_hold_every_pair_once_and_images_of_one_size(
    sizes: list[tuple[int, int]], count: int, batch_size: int
) -> None:
    sources = [Source(Path(f"{i}.png"), f"{i}.png", size, "a" * 64) for i, size in enumerate(sizes)]
    whole = plan(count, sources=sources, batch_size=batch_size)
    batches = [whole.build_batch(number) for number in range(whole.batch_count)]
    assert sorted(item.index for batch in batches for item in batch) == list(range(count))
    assert all(len({item.source.size for item in batch}) == 1 for batch in batches)
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(whole.find_batch(item.index) == i for i, batch in enumerate(batches) for item in batch)


@pytest.mark.parametrize(("size", "most"), [((512, 512), 32), ((2048, 2048), 2), ((5000, 5000), 1), ((64, 64), 40)])
def test_batches_of_large_images_are_small(size: tuple[int, int], most: int) -> None:
    whole = plan(100, sources=[Source(Path("a.png"), "a.png", size, "a" * 64)], batch_size=40)
    assert len(whole.build_batch(0)) == most


def test_a_plan_of_a_billion_pairs_costs_nothing() -> None:
    whole = plan(10**9)
    assert whole.build_batch(whole.batch_count - 1)[-1].index == 10**9 - 1


def test_train_good_of_a_data_set_root_is_preferred(good_folder: Path) -> None:
    assert find_good_folder(good_folder) == good_folder
    (good_folder / "train" / "good").mkdir(parents=True)
    assert find_good_folder(good_folder) == good_folder / "train" / "good"


def test_usable_sources_carry_names_and_sizes(good_folder: Path) -> None:
    sources, skipped = find_sources(find_images(good_folder), root=good_folder, limit=9, skip=False)
    assert [(source.name, source.size) for source in sources] == [
        ("a.png", (48, 64)),
        ("b.png", (48, 64)),
        ("more/c.png", (56, 40)),
    ]
    assert skipped == 0


def test_no_more_images_are_read_than_pairs_are_planned(good_folder: Path) -> None:
    (good_folder / "b.png").write_bytes(b"broken")
    sources, _ = find_sources(find_images(good_folder), root=good_folder, limit=1, skip=False)
    assert [source.name for source in sources] == ["a.png"]


def test_small_image_is_refused_by_name_and_size(good_folder: Path) -> None:
    write_file(good_folder / "0.png", encode_png(np.zeros((31, 90, 3), np.uint8)))
    with pytest.raises(DataError, match="0.png: 90x31 px; at least 32 px a side"):
        find_sources(find_images(good_folder), root=good_folder, limit=3, skip=False)


def test_image_whose_name_is_not_utf8_is_refused(good_folder: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(good_folder) + b"/0\xff.png"))
    try:
        path.write_bytes((good_folder / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    with pytest.raises(DataError, match="is not UTF-8; rename"):
        find_sources(find_images(good_folder), root=good_folder, limit=3, skip=False)


@pytest.mark.parametrize("name", ["a" * 201, "é" * 101, "a\nb", "a\x7f"])
def test_names_that_files_of_pairs_cannot_have_are_refused(good_folder: Path, name: str) -> None:
    (good_folder / "a.png").rename(good_folder / f"{name}.png")
    with pytest.raises(DataError, match="is longer than 200 bytes or has control characters; rename it"):
        find_sources(find_images(good_folder), root=good_folder, limit=3, skip=False)


def test_skipped_images_are_named_and_counted(good_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (good_folder / "b.png").write_bytes(b"broken")
    with caplog.at_level(logging.INFO, logger="anomalib_stage"):
        sources, skipped = find_sources(find_images(good_folder), root=good_folder, limit=9, skip=True)
    assert ([source.name for source in sources], skipped) == (["a.png", "more/c.png"], 1)
    assert "b.png: not a readable image" in caplog.text


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    write_file(tmp_path / "a.png", b"broken")
    with pytest.raises(DataError, match="none of its 1 images can be used"):
        find_sources(find_images(tmp_path), root=tmp_path, limit=3, skip=True)


def test_sources_know_their_content_and_depth(good_folder: Path) -> None:
    cv2.imwrite(str(good_folder / "b.png"), np.full((48, 64), 900, np.uint16))
    sources, _ = find_sources(find_images(good_folder), root=good_folder, limit=3, skip=False)
    assert [source.deep for source in sources] == [False, True, False]
    assert sources[0].digest == hashlib.sha256((good_folder / "a.png").read_bytes()).hexdigest()


def test_masks_are_checked_against_the_image_they_go_to(tmp_path: Path) -> None:
    write_file(tmp_path / "m.png", encode_png(np.full((48, 64), 255, np.uint8)))
    mask = (tmp_path / "m.png",)
    check_masks(plan(1, masks=mask))
    with pytest.raises(DataError, match="m.png: mask is 64x48 px, but its image .*b/a.png is 40x56 px"):
        check_masks(plan(2, masks=mask))


def test_folders_inside_the_good_images_are_refused(tmp_path: Path) -> None:
    check_outside(tmp_path / "out", root=tmp_path / "good", flag="--out")
    for inside in (tmp_path / "good", tmp_path / "good" / "out", tmp_path / "x" / ".." / "good" / "out"):
        with pytest.raises(InputError, match="--out .* lies inside the folder of good images"):
            check_outside(inside, root=tmp_path / "good", flag="--out")
