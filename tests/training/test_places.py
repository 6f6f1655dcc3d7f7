# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a training writes is tried before it starts, and belongs to one process while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anomalib_stage.errors import DataError, InputError, StageError
from anomalib_stage.training.places import check_places, hold_folder


def test_nothing_is_left_of_a_trial(tmp_path: Path) -> None:
    (tmp_path / "old.safetensors").write_bytes(b"old")
    check_places(tmp_path / "a" / "b" / "out.safetensors", tmp_path / "c" / "d")
    check_places(tmp_path / "old.safetensors", tmp_path / "old-fit")
    assert [path.name for path in tmp_path.iterdir()] == ["old.safetensors"]
    assert (tmp_path / "old.safetensors").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("out", "folder", "message"),
    [
        ("file/out.safetensors", "fit", r"--out .*file/out.safetensors: cannot be written \(.*; choose a folder"),
        ("file/more/out.safetensors", "fit", r"--out .*cannot be written \("),
        ("n" * 300, "fit", r"--out .*cannot be written \(File name too long\)"),
        ("nul\0.safetensors", "fit", r"--out .*cannot be written \("),
        ("here", "fit", r"--out .*here is a folder; give the file to write, such as .*here/mine.safetensors"),
        ("out.safetensors", "file", r"--workdir .*file is a file; give a folder"),
        ("out.safetensors", "file/fit", r"--workdir .*file/fit: cannot be written \("),
        ("out.safetensors", "n" * 300, r"--workdir .*cannot be written \(File name too long\)"),
        ("/dev/null", "fit", r"--out /dev/null is neither a file nor the place for one"),
        ("/proc/out.safetensors", "fit", r"--out /proc/out.safetensors: cannot be written \("),
        ("out.safetensors", "/proc/fit", r"--workdir /proc/fit: cannot be written \("),
    ],
)
def test_what_cannot_be_written_is_refused(out: str, folder: str, message: str, tmp_path: Path) -> None:
    if (out + folder).count("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "here").mkdir()
    with pytest.raises((InputError, DataError), match=message):
        check_places(tmp_path / out, tmp_path / folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "here"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied"):
        check_places(tmp_path / "closed" / "out.safetensors", tmp_path / "fit")


HOLD = """
import os, sys, time
from pathlib import Path
from anomalib_stage.training.places import hold_folder
with hold_folder(Path(sys.argv[1])):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_a_folder_belongs_to_one_training_until_it_dies(tmp_path: Path) -> None:
    folder = tmp_path / "fit"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(InputError, match="fit: another training is at work there"), hold_folder(folder):
                pass
        finally:
            process.kill()
            process.wait()
        try:
            (folder / "sheets").mkdir()
            for name in (".0123456789abcdef.part", "sheets/.fedcba9876543210.part", "sheets/step-000001.png"):
                (folder / name).write_bytes(b"half")
            with hold_folder(folder):  # though a process that it had started is still there
                assert sorted(path.name for path in folder.rglob("*")) == [".lock", "sheets", "step-000001.png"]
        finally:
            os.kill(child, signal.SIGKILL)
    with pytest.raises(StageError, match="cannot be written"), hold_folder(folder / ".lock" / "fit"):
        pass
