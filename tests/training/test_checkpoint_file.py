# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""There is always a whole checkpoint: two are kept, each is written beside its place, and damage is noticed."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from anomalib_stage.errors import DataError
from anomalib_stage.training.checkpoint import find_checkpoint
from anomalib_stage.training.checkpoint_file import LAST, PREVIOUS, DurableCheckpoints


def save(folder: Path, step: int) -> None:
    state = {"denoiser.conditions.rust": torch.full((200,), float(step)), "denoiser.unet.w": torch.zeros(1000)}
    DurableCheckpoints().save_checkpoint({"state_dict": state, "global_step": step}, folder / LAST)


def test_the_last_two_are_kept_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for step in (100, 200, 300):
        save(tmp_path / "fit", step)
    assert sorted(path.name for path in (tmp_path / "fit").iterdir()) == [LAST, PREVIOUS]
    assert list(temporary.iterdir()) == []
    assert find_checkpoint(tmp_path / "fit").step == 300
    assert find_checkpoint(tmp_path / "fit").defects == {"rust"}
    (tmp_path / "fit" / LAST).unlink()  # killed between the two renames
    assert find_checkpoint(tmp_path / "fit").step == 200


class Crash(BaseException):
    """The end of the process."""


def test_a_crash_at_any_file_leaves_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = 100
    rename, sync = Path.replace, os.fsync

    def step() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    def replace(self: Path, target: Path) -> Path:
        step()
        return rename(self, target)

    def fsync(file: int) -> None:
        step()
        sync(file)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(os, "fsync", fsync)
    steps = 0
    for steps in range(9):
        folder, left = tmp_path / str(steps), 100
        save(folder, 100)
        left = steps
        try:
            save(folder, 200)
            break
        except Crash:
            assert find_checkpoint(folder).step == 100
            left = 100
            save(folder, 300)
            assert find_checkpoint(folder).step == 300
    assert steps == 4  # two times on the disk, two renames
    assert find_checkpoint(folder).step == 200


def full(self: Path, mode: str = "r", *args: Any, **options: Any) -> IO[Any]:
    if self.suffix != ".part":
        return open(self, mode, *args, **options)  # noqa: PTH123 - what Path.open does
    stream = open(self, mode)  # noqa: PTH123, SIM115

    def write(data: Any) -> None:
        stream.raw.write(bytes(data)[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *args: object) -> None:
            stream.close()

    found: Any = Full()
    found.write = write
    return found


def test_a_full_disk_leaves_the_one_before_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DataError, match=r"No space left on device\); make room in its folder and run the same"):
            save(tmp_path, 100)
    assert list(tmp_path.iterdir()) == []
    save(tmp_path, 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DataError, match=r"the one before is whole: make room .* with --resume"):
            save(tmp_path, 200)
    assert find_checkpoint(tmp_path).step == 100
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def spoil(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[data.index(torch.full((200,), 200.0).numpy().tobytes()) + 40] ^= 1
    path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"{}"}.get(how, bytes(data)))


@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "text"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 100)
    save(tmp_path, 200)
    spoil(tmp_path / LAST, how)
    with caplog.at_level(logging.WARNING):
        assert find_checkpoint(tmp_path).step == 100
    assert f"{tmp_path / LAST} is damaged" in caplog.text
    assert "going on from the one before it, of step 100" in caplog.text
    (tmp_path / PREVIOUS).write_bytes(b"PK")
    with pytest.raises(
        DataError, match=r"last.ckpt is damaged .*previous.ckpt is damaged .*no whole checkpoint is left"
    ):
        find_checkpoint(tmp_path)


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    for content in ([1, 2], {"state_dict": {}}, {"state_dict": 3, "global_step": 1}, {"global_step": "x"}):
        torch.save(content, tmp_path / LAST)
        with pytest.raises(DataError, match="last.ckpt is damaged"):
            find_checkpoint(tmp_path)
