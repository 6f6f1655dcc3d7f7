# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at any moment loses nothing, repeats nothing, damages nothing; nor does the number of processes matter.

The short version runs with the suite. The long one::

    ANOMALIB_STAGE_KILLS=200 pytest -n 0 -m slow -s --timeout 7200 tests/pregeneration/test_killing.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anomalib_stage.pregeneration.output.manifest import read_manifest
from anomalib_stage.pregeneration.verify import verify
from tests.conftest import tree
from tests.pregeneration.killing import forkserver, is_finished, kill_after, start, storm

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

KILLS = int(os.environ.get("ANOMALIB_STAGE_KILLS", "0"))


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return forkserver()


@pytest.fixture
def options(good_folder: Path, tiny_bundle_path: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "data": good_folder,
        "out": tmp_path / "out",
        "count": 24,
        "weights": str(tiny_bundle_path),
        "sampling_steps": 4,
        "batch_size": 4,
        "device": "cpu",
        "min_visibility": 0.0,
    }


def uninterrupted(context: ForkServerContext, options: dict[str, Any], name: str, world: int = 1) -> Path:
    out: Path = options["out"].with_name(name)
    codes = start(context, options | {"out": out}, world).finish()
    assert codes == [0] * world
    assert is_finished(out)
    return out


def test_one_two_and_three_processes_write_the_same(context: ForkServerContext, options: dict[str, Any]) -> None:
    folders = [uninterrupted(context, options, f"of{world}", world) for world in (1, 2, 3)]
    one, two, three = map(tree, folders)
    assert one == two == three
    assert [record.index for record in read_manifest(folders[0])] == list(range(24))


def test_what_a_killed_process_left_is_painted_by_the_next_run(
    context: ForkServerContext, options: dict[str, Any]
) -> None:
    whole = tree(uninterrupted(context, options, "whole"))
    team = start(context, options, 3)
    until = time.monotonic() + 200
    while not list(options["out"].glob("manifest.rank-0002.jsonl")) and time.monotonic() < until:
        time.sleep(0.002)
    kill_after(team, 0.0, victims=1)
    assert team.finish() == [0, 0, -9]
    found, problems = verify(options["out"])
    assert found["remaining"]
    assert problems == []
    assert start(context, options, 2).finish() == [0, 0]
    assert tree(options["out"]) == whole


class Crash(BaseException):
    """The end of a process, at a chosen step."""


@pytest.mark.parametrize("layout", ["folder", "mvtec"])
def test_a_crash_at_any_file_changes_nothing(
    layout: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"count": 2, "batch_size": 2, "layout": layout}
    run(out=tmp_path / "whole", **job)
    left = 0
    rename, remove = Path.replace, Path.unlink

    def step() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    def replace(self: Path, target: Path) -> Path:
        step()
        return rename(self, target)

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.suffix != ".part":  # what a dead process does not clear away
            step()
            remove(self, missing_ok)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "unlink", unlink)
    for steps in range(100):
        left = steps
        try:
            run(out=tmp_path / f"out{steps}", **job)
            break
        except Crash:
            left = 10**6
            monkeypatch.setattr(Path, "unlink", remove)
            run(out=tmp_path / f"out{steps}", **job)
            monkeypatch.setattr(Path, "unlink", unlink)
            assert tree(tmp_path / f"out{steps}") == tree(tmp_path / "whole"), steps
    assert steps > 8  # job, two pairs of two files, manifest, shard, table, sums


def test_kills_at_random_moments_change_nothing(context: ForkServerContext, options: dict[str, Any]) -> None:
    began = time.monotonic()
    whole = tree(uninterrupted(context, options, "whole"))
    folders = storm(context, options, kills=4, longest=time.monotonic() - began, seed=0)
    assert folders
    assert all(tree(folder) == whole for folder in folders)


@pytest.mark.slow
@pytest.mark.skipif(not KILLS, reason="set ANOMALIB_STAGE_KILLS to the number of kills")
def test_many_kills_over_a_job_of_400_pairs(context: ForkServerContext, options: dict[str, Any]) -> None:
    options |= {"count": 400, "batch_size": 8}
    began = time.monotonic()
    whole = tree(uninterrupted(context, options, "whole"))
    longest = (time.monotonic() - began) / 4
    folders = storm(context, options, kills=KILLS, longest=longest, seed=1)
    for folder in folders:
        assert [record.index for record in read_manifest(folder)] == list(range(400))
        assert tree(folder) == whole
    print(f"{KILLS} kills, {len(folders)} jobs of 400 pairs: 0 lost, 0 duplicated, 0 damaged, all byte-identical")
