# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Options with several values: with spaces, with commas, in brackets, or in a file."""

from __future__ import annotations

import functools
import json
import re
import typing
from pathlib import Path
from typing import Any

import pytest

from anomalib_stage import cli
from anomalib_stage.cli import COMMANDS, load_command, main
from anomalib_stage.commands.measure.benchmark_speed import _whole_numbers
from anomalib_stage.commands.parser import gathered
from anomalib_stage.evaluation.detection.run import read_whole_numbers

REQUIRED = {
    "pregenerate": ["--data=d", "--out=o", "--count=3"],
    "preview": ["--data=d", "--out=o.png"],
    "benchmark": ["--data=d", "--out=o"],
    "benchmark-speed": [],
    "convert": ["--published=p", "--ldm=l", "--out=o"],
}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command was called with; nothing is done."""
    given: dict[str, Any] = {}

    def load(name: str) -> Any:
        return functools.wraps(load_command(name))(lambda **options: given.update(options))

    monkeypatch.setattr(cli, "load_command", load)
    return given


def several(kind: type) -> list[tuple[str, str]]:
    """Return each option of each command that takes several values of one kind."""
    hints = {name: typing.get_type_hints(load_command(name), _names(name)) for name in COMMANDS}
    return [
        (name, parameter)
        for name, options in hints.items()
        for parameter, hint in options.items()
        if any(typing.get_origin(option) is kind for option in (hint, *typing.get_args(hint)))
    ]


def _names(name: str) -> dict[str, Any]:
    return {**vars(typing), "Iterator": typing.Iterator, **getattr(load_command(name), "__globals__", {})}


SPELLINGS = ["--{} 0.5 1", "--{} 0.5,1", "--{} [0.5,1]", "--{} [0.5, 1]", "--{}=[0.5,1]", "--{}=0.5 1", "--{} (0.5 1)"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("command", "parameter"), several(tuple))
def test_a_pair_is_read_in_every_spelling(command: str, parameter: str, spelling: str, called: dict[str, Any]) -> None:
    option = spelling.format(parameter.replace("_", "-"))
    for arguments in ([*REQUIRED[command], *option.split()], [*option.split(), *REQUIRED[command]]):
        called.clear()
        assert main([command, *arguments]) == 0
        assert called[parameter] == (0.5, 1.0)
        assert called["out"] == Path("o.png" if command == "preview" else "o")


def test_a_pair_in_one_quoted_argument_is_read_too(called: dict[str, Any]) -> None:
    assert main(["preview", *REQUIRED["preview"], "--strength", "[0.5, 1]"]) == 0
    assert called["strength"] == (0.5, 1.0)
    assert main(["preview", *REQUIRED["preview"], "--strength", "null"]) == 0
    assert called["strength"] is None


@pytest.mark.parametrize("spelling", ["--{} 1 2", "--{} [1,2]", "--{} [1, 2]", "--{}=[1,2]", "--{}=1 2"])
@pytest.mark.parametrize(("command", "parameter"), several(list))
def test_a_list_is_read_in_every_spelling(command: str, parameter: str, spelling: str, called: dict[str, Any]) -> None:
    option = spelling.format(parameter.replace("_", "-")).split()
    assert main([command, *option, *REQUIRED[command]]) == 0
    assert called[parameter] == ["1", "2"]


@pytest.mark.parametrize(("command", "parameter"), several(list) + several(tuple))
def test_several_values_can_come_from_a_file(
    command: str, parameter: str, called: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "options.yaml").write_text(json.dumps({parameter: [1, 2]}))
    assert main([command, *REQUIRED[command], "--config", str(tmp_path / "options.yaml")]) == 0
    assert called[parameter] in (["1", "2"], (1.0, 2.0))


def test_numbers_may_have_commas_between_them() -> None:
    assert read_whole_numbers(["0,1", "2"]) == [0, 1, 2]
    assert _whole_numbers("sizes", ["256,512", "1024"]) == [256, 512, 1024]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strength", "0.5"], "--strength Expected a tuple with 2 elements. Got value: [0.5]"),
        (["--strength", "0.1", "0.5", "1"], "--strength Expected a tuple with 2 elements. Got value: [0.1, 0.5, 1]"),
        (["--strength", "weak", "strong"], "--strength Expected a <class 'float'>. Got value: weak"),
        (["--strength"], "--strength: expected one argument"),
        (["--strength", "--seed", "1"], "--strength: expected one argument"),
        (["--defects"], "--defects: expected at least one argument"),
        (["--defects", "[]"], "--defects: expected at least one argument"),
    ],
)
def test_wrong_values_are_one_line(
    arguments: list[str], message: str, called: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", *REQUIRED["preview"], *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_file_that_is_no_yaml_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options.yaml").write_text("defects: [")
    assert main(["preview", *REQUIRED["preview"], "--config", str(tmp_path / "options.yaml")]) == 2
    assert re.fullmatch(r"anomalib-stage: error: [^\n]*config[^\n]*\n", capsys.readouterr().err)


def test_negative_numbers_are_values_and_other_options_are_left_alone() -> None:
    kinds = {"--strength": tuple, "--defects": list}
    given = ["--seed", "-3", "--strength", "-0.5", "1", "--synthesis", "[1]", "--defects", "a[1]", "b", "-h"]
    assert gathered(given, kinds) == [
        *["--seed", "-3", "--strength=[-0.5, 1]", "--synthesis", "[1]", "--defects", "a[1]", "b", "-h"]
    ]
