# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The script that watches a long pregeneration, on a short one."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from anomalib_stage.pregeneration.output.entries import merge
from anomalib_stage.pregeneration.output.shards import Shard
from anomalib_stage.pregeneration.verify import verify
from tests.pregeneration.output.test_manifest import record

ROOT = Path(__file__).parents[1]
LONG_RUN = ROOT / "docs" / "measure" / "long_run.py"

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def test_a_run_is_measured_from_its_start_to_its_end(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"out": tmp_path / "run", "count": 12, "images": 3, "size": 48, "sampling-steps": 4, "batch-size": 2}
    options |= {"weights": tiny_bundle_path, "device": "cpu", "interval": 0.1}
    monkeypatch.setattr(sys, "argv", ["long_run.py", *(f"--{name}={value}" for name, value in options.items())])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    measure = runpy.run_path(str(LONG_RUN))["main"]
    measure()
    report = json.loads((tmp_path / "run" / "long_run.json").read_text())
    seconds, pairs, memory = zip(*report["samples"], strict=True)
    assert list(seconds) == sorted(seconds)
    assert list(pairs) == sorted(pairs)
    assert pairs[0] == 0
    assert pairs[-1] == 12
    assert 50 < report["peak_first_tenth_mib"] <= report["peak_mib"] == pytest.approx(max(memory), abs=0.1)
    assert report["peak_last_tenth_mib"] > 50
    assert 0 < report["busy"] <= 1
    assert f"pairs a second:      {report['pairs_per_second']}" in capsys.readouterr().out
    assert (tmp_path / "run" / "long_run.png").read_bytes().startswith(b"\x89PNG")
    assert verify(tmp_path / "run" / "pairs")[1] == []
    with pytest.raises(SystemExit, match="2"):
        measure()
    assert "is not empty" in capsys.readouterr().err


def test_pairs_stay_counted_when_the_shards_are_merged(tmp_path: Path) -> None:
    lines = runpy.run_path(str(LONG_RUN))["Lines"](tmp_path)
    assert lines.more() == 0
    with Shard(tmp_path, "a") as one, Shard(tmp_path, "b") as other:
        one.append([record(0), record(2)])
        assert lines.more() == 2
        other.append([record(1)])
        one.append([record(3)])
        assert lines.more() == 4
    merge(tmp_path, 4)
    assert lines.more() == 4


def test_memory_is_that_of_a_process_and_all_that_it_has_started() -> None:
    script = runpy.run_path(str(LONG_RUN))
    before = script["resident"](os.getpid())
    code = "import time; block = bytearray(b'x' * 80_000_000); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            assert {os.getpid(), child.pid} <= script["family"](os.getpid())
            assert script["resident"](os.getpid()) > before + 70
        finally:
            child.kill()


def test_the_tenths_are_of_the_pairs() -> None:
    script = runpy.run_path(str(LONG_RUN))
    looks = [(0, 0, 10.0), (1, 0, 30.0), (2, 10, 20.0), (3, 11, 90.0), (4, 89, 95.0), (5, 90, 40.0), (6, 100, 35.0)]
    samples = [script["Sample"](*look) for look in looks]
    found = script["summary"]({"pairs_per_second": 1.0, "busy": 0.9}, samples, 100)
    assert (found["peak_first_tenth_mib"], found["peak_last_tenth_mib"], found["peak_mib"]) == (30.0, 40.0, 95.0)
    assert found["seconds"] == 6
