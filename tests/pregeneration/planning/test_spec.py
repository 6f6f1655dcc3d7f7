# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.pregeneration.planning.claim import check_free, start_or_continue
from anomalib_stage.pregeneration.planning.spec import JOB_NAME, FileList, Job, read_job
from anomalib_stage.settings import SamplerSettings, SynthesisSettings

if TYPE_CHECKING:
    from pathlib import Path


def job(**changed: Any) -> Job:
    fields: dict[str, Any] = {
        "count": 100,
        "seed": 0,
        "kinds": ("hole", "stain"),
        "batch_size": 32,
        "layout": "folder",
        "bundle": "a" * 64,
        "settings": SynthesisSettings(),
        "sources": FileList.of([("a.png", "b" * 64)]),
        "masks": None,
        "versions": {"torch": "2.6"},
        "device": "cpu",
    }
    return Job(**fields | changed)


def test_a_job_is_written_once_and_comes_back_equal(tmp_path: Path) -> None:
    start_or_continue(tmp_path / "out", job())
    before = (tmp_path / "out" / JOB_NAME).read_bytes()
    start_or_continue(tmp_path / "out", job())
    assert read_job(tmp_path / "out") == job()
    assert (tmp_path / "out" / JOB_NAME).read_bytes() == before


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "count": ({"count": 200}, "count 100 -> 200;"),
    "two things": ({"count": 7, "seed": 3}, "count 100 -> 7; seed 0 -> 3;"),
    "weights": ({"bundle": "c" * 64}, f"bundle {'a' * 64} -> {'c' * 64};"),
    "steps": (
        {"settings": SynthesisSettings(sampler=SamplerSettings(steps=4))},
        "settings.sampler.steps None -> 4;",
    ),
    "images": ({"sources": FileList.of([("a.png", "c" * 64)])}, "sources.sha256 "),
    "masks": ({"masks": FileList.of([("m.png", "c" * 64)])}, "masks.files None -> 1;"),
    "kinds": ({"kinds": ("hole",)}, "defects ['hole', 'stain'] -> ['hole'];"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_job_is_refused_with_every_difference(name: str, tmp_path: Path) -> None:
    changed, expected = DIFFERENT[name]
    start_or_continue(tmp_path / "out", job())
    with pytest.raises(InputError, match=r"holds another job \(there -> here\): ") as raised:
        start_or_continue(tmp_path / "out", job(**changed))
    assert expected in str(raised.value)
    assert read_job(tmp_path / "out") == job()


def test_other_versions_and_devices_are_said_and_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start_or_continue(tmp_path / "out", job())
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        start_or_continue(tmp_path / "out", job(versions={"torch": "2.7"}, device="cuda"))
    assert "versions.torch (2.6 -> 2.7)" in caplog.text
    assert "device (cpu -> cuda)" in caplog.text


def test_what_a_kill_leaves_before_the_job_is_written_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".0123456789abcdef.part").write_bytes(b"{")
    start_or_continue(tmp_path, job())


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError, match="is not an empty folder and holds no job.json"):
            check_free(out)


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}'], ids=["empty", "torn", "fields missing"])
def test_a_description_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / JOB_NAME).write_text(text)
    with pytest.raises(DataError, match="job.json: not a description of a job"):
        start_or_continue(tmp_path, job())
