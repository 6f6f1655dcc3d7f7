# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from anomalib_stage.errors import DataError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.pregeneration.output.entries import find_finished, find_shards, merge, read_entries
from anomalib_stage.pregeneration.output.manifest import MANIFEST_NAME, PairRecord, read_manifest
from anomalib_stage.pregeneration.output.shards import Shard
from tests.pregeneration.output.test_manifest import record

if TYPE_CHECKING:
    from pathlib import Path


def indexes(out: Path) -> list[int]:
    return [entry.record.index for entry in read_entries(out)]


def test_lines_are_kept_in_the_order_they_came(tmp_path: Path) -> None:
    with Shard(tmp_path, "a") as shard:
        shard.append([record(3), record(1)])
        shard.append([record(2)])
    assert indexes(tmp_path) == [3, 1, 2]
    assert find_finished(tmp_path, 5).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_line_counts_as_none_and_the_next_ones_are_whole(tmp_path: Path, kept: int) -> None:
    with Shard(tmp_path, "a") as shard:
        shard.append([record(0), record(1)])
    (path,) = find_shards(tmp_path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    assert indexes(tmp_path) == [0]
    with Shard(tmp_path, "a") as shard:
        shard.append([record(2)])
    assert indexes(tmp_path) == [0, 2]
    assert path.read_bytes().count(b"\n") == 2


def test_a_line_that_is_no_record_is_passed_over(tmp_path: Path) -> None:
    with Shard(tmp_path, "a") as shard:
        shard.append([record(0)])
    (path,) = find_shards(tmp_path)
    path.write_bytes(b"\0\0\0\n{}\n" + path.read_bytes())
    assert indexes(tmp_path) == [0]


def test_the_merge_is_sorted_whoever_wrote_the_lines(tmp_path: Path) -> None:
    with Shard(tmp_path, "a") as one, Shard(tmp_path, "b") as other:
        one.append([record(4), record(0)])
        other.append([record(3), record(1)])
        one.append([record(2)])
    merge(tmp_path, 5)
    assert read_manifest(tmp_path) == [record(i) for i in range(5)]
    assert find_shards(tmp_path) == []
    before = (tmp_path / MANIFEST_NAME).read_bytes()
    merge(tmp_path, 5)
    assert (tmp_path / MANIFEST_NAME).read_bytes() == before


def test_of_two_lines_for_a_pair_the_one_with_the_files_counts(tmp_path: Path) -> None:
    files = {"image": "image/hole/0.png", "mask": "mask/hole/0.png"}
    for name in files.values():
        write_file(tmp_path / name, name.encode())
    digests = {f"{what}_sha256": hashlib.sha256(name.encode()).hexdigest() for what, name in files.items()}
    good = PairRecord(**record(0).model_dump() | digests)
    for name, lines in (("a", [record(0)]), ("b", [good]), ("c", [record(0)])):
        with Shard(tmp_path, name) as shard:
            shard.append(lines)
    merge(tmp_path, 1)
    assert read_manifest(tmp_path) == [good]


def test_one_shard_has_one_writer(tmp_path: Path) -> None:
    with Shard(tmp_path, "a"), pytest.raises(DataError, match="another process writes it as a; wait .*--devices"):
        Shard(tmp_path, "a").__enter__()
    with Shard(tmp_path, "a") as shard:
        shard.append([record(0)])


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Shard(tmp_path, "a") as shard:
        shard.append([record(0)])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(DataError, match=r"a.jsonl: .*No space left.*make space"):
                shard.append([record(1)])
        shard.append([record(2)])
    assert indexes(tmp_path) == [0, 2]
