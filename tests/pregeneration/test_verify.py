# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anomalib_stage.errors import DataError
from anomalib_stage.pregeneration.output.manifest import read_manifest
from anomalib_stage.pregeneration.verify import verify
from tests.conftest import tree

if TYPE_CHECKING:
    from pathlib import Path


def test_a_finished_folder_is_whole(run: Any, tmp_path: Path) -> None:
    run(layout="mvtec")
    before = tree(tmp_path / "out")
    found, problems = verify(tmp_path / "out")
    assert found == {
        "out": str(tmp_path / "out"),
        "planned": 7,
        "pairs": 7,
        "rejected": 0,
        "remaining": 0,
        "damaged": 0,
    }
    assert problems == []
    assert tree(tmp_path / "out") == before


def test_rejected_pairs_are_whole_too(run: Any, tmp_path: Path) -> None:
    run(count=3, min_visibility=1e9)
    found, problems = verify(tmp_path / "out")
    assert (found["pairs"], found["rejected"], problems) == (0, 3, [])


def test_every_kind_of_damage_is_named_and_mended_by_the_same_call(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(layout="mvtec")
    whole = tree(out)
    records = read_manifest(out)
    (out / records[1].image).unlink()
    (out / records[2].mask).write_bytes(b"")
    data = bytearray((out / records[5].image).read_bytes())
    data[-20] ^= 1
    (out / records[5].image).write_bytes(data)
    (out / "test" / "good" / "000000_a.png").unlink()
    (out / "samples.csv").write_text("mine")
    found, problems = verify(out)
    assert (found["pairs"], found["damaged"], found["remaining"]) == (4, 5, 0)
    expected = [records[1].image, records[2].mask, records[5].image, "samples.csv", "test/good/000000_a.png"]
    assert [problem.split(":")[0] for problem in problems] == expected
    assert [problem.split()[1].rstrip(",") for problem in problems] == [
        "missing",
        "damaged",
        "damaged",
        "damaged",
        "missing",
    ]
    run(layout="mvtec")
    assert tree(out) == whole


def test_pairs_without_a_line_are_counted(run: Any, tmp_path: Path) -> None:
    run()
    lines = (tmp_path / "out" / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / "SHA256SUMS").unlink()
    (tmp_path / "out" / "manifest.jsonl").write_bytes(b"".join(lines[:4]) + lines[4][:30])
    found, problems = verify(tmp_path / "out")
    assert (found["pairs"], found["remaining"], problems) == (4, 3, [])


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="job.json: no such file; give a folder that"):
        verify(tmp_path)
