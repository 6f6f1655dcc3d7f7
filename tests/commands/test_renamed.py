# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Options that had another name, and ``--synthesis``, on the command line."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from anomalib_stage import cli
from anomalib_stage.cli import COMMANDS, load_command, main
from anomalib_stage.deprecated.names import find_renames

ROOT = Path(__file__).parents[2]
REQUIRED = {
    "pregenerate": ["--data=d", "--out=o", "--count=3"],
    "preview": ["--data=d", "--out=o.png"],
    "quality": ["--data=d", "--out=o"],
    "benchmark": ["--data=d", "--out=o"],
    "benchmark-speed": [],
    "fit": ["--out=o.safetensors"],
    "fit-latent": ["--out=o.safetensors", "--pretrained=p", "--defect-dir=d", "--defect-mask-dir=m"],
}
CASES = [(command, old, new) for command in COMMANDS for old, new in find_renames(command).items()]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command was called with; nothing is done."""
    given: dict[str, Any] = {}

    def load(name: str) -> Any:
        command = load_command(name)
        return functools.wraps(command)(lambda **options: given.update(options))

    monkeypatch.setattr(cli, "load_command", load)
    return given


def without(command: str, *options: str) -> list[str]:
    names = ["--" + option.replace("_", "-") for option in options]
    return [given for given in REQUIRED[command] if given.split("=")[0] not in names]


@pytest.mark.parametrize("spelling", ["--{}=7", "--{} 7"])
@pytest.mark.parametrize(("command", "old", "new"), CASES)
def test_an_old_option_is_the_new_one(
    command: str, old: str, new: str, spelling: str, called: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert main([command, *without(command, new), *spelling.format(old).split()]) == 0
    assert called[new] in (7, ["7"], Path("7"))
    option = "--" + new.replace("_", "-")
    assert caplog.messages == [f"--{old} is called {option} now; the next version will not know the old name"]


def test_it_is_said_in_a_line_on_stderr_and_the_result_is_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "anomalib_stage", "preview", f"--data={tmp_path}", "--out=o.png", "--steps=8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1  # there is no image
    first, second = done.stderr.splitlines()
    assert first == "WARNING --steps is called --sampling-steps now; the next version will not know the old name"
    assert second.startswith("anomalib-stage: error: ")


@pytest.mark.parametrize(("command", "old", "new"), CASES)
def test_both_are_wrong_usage(
    command: str, old: str, new: str, called: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    option = "--" + new.replace("_", "-")
    assert main([command, *without(command, new), f"--{old}=7", option, "7"]) == 2
    assert capsys.readouterr().err == (
        f"anomalib-stage: error: --{old} is the old name of {option}; give one of them\n"
    )
    assert called == {}


def test_a_file_of_options_may_have_old_names(
    tmp_path: Path, called: dict[str, Any], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o.yaml").write_text("steps: 5\nstrength: [0.5, 1]\n")
    assert main(["pregenerate", *REQUIRED["pregenerate"], f"--config={tmp_path / 'o.yaml'}"]) == 0
    assert (called["sampling_steps"], called["strength"]) == (5, (0.5, 1.0))
    file = tmp_path / "o.yaml"
    [message] = caplog.messages
    assert message.startswith(f"{file}: steps is called {file}: sampling_steps now; ")
    (tmp_path / "o.yaml").write_text("steps: 5\nsampling_steps: 5\n")
    assert main(["pregenerate", *REQUIRED["pregenerate"], f"--config={tmp_path / 'o.yaml'}"]) == 2
    assert "o.yaml: steps is the old name of" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pregenerate", "preview", "quality", "benchmark"])
def test_every_command_that_paints_takes_the_same_settings(command: str, called: dict[str, Any]) -> None:
    text = '{"gate": {"trim": true}, "strength": [0.4, 1], "match_grain": false}'
    assert main([command, *REQUIRED[command], "--synthesis", text]) == 0
    assert called["synthesis"] == json.loads(text)


@pytest.fixture
def painted(tmp_path: Path, tiny_bundle_path: Path) -> Any:
    """Pregenerate one pair and return its settings on disk."""
    (tmp_path / "good").mkdir()
    cv2.imwrite(str(tmp_path / "good" / "0.png"), np.full((48, 64, 3), 90, np.uint8))

    def run(*options: str) -> tuple[int, dict[str, Any]]:
        places = [f"--data={tmp_path / 'good'}", f"--out={tmp_path / 'out'}", f"--weights={tiny_bundle_path}"]
        code = main(["pregenerate", *places, "--count=1", "--sampling-steps=4", "--device=cpu", *options])
        job = tmp_path / "out" / "job.json"
        return code, json.loads(job.read_text())["settings"] if job.is_file() else {}

    return run


def test_settings_decide_what_is_painted(painted: Any, caplog: pytest.LogCaptureFixture) -> None:
    code, settings = painted("--synthesis", '{"gate": {"trim": true}, "own_grain": false}', "--strength=[0.5, 1]")
    assert (code, settings["gate"]["trim"], settings["own_grain"]) == (0, True, False)
    assert (settings["strength"], settings["sampler"]["steps"]) == ([0.5, 1.0], 4)
    said = [message for message in caplog.messages if "is called" in message]
    assert [message.split(" now;")[0] for message in said] == [
        "the setting own_grain is called the setting match_grain"
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--synthesis", '{"gat": {}}'], "gat: Extra inputs are not permitted"),
        (["--synthesis", '{"sampler": {"steps": 8}}'], "sampling_steps is 4, but synthesis says sampler.steps 8"),
        (["--trim", "--synthesis", '{"gate": {"trim": false}}'], "trim is True, but synthesis says gate.trim False"),
        (["--synthesis", '{"own_grain": true, "match_grain": true}'], "own_grain is the old name of"),
        (["--synthesis", "4"], "--synthesis Expected a <class 'dict'>. Got value: 4"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    options: list[str], complaint: str, painted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert painted(*options) == (2, {})
    assert complaint in capsys.readouterr().err
