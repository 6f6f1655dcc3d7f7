# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The table of old names says what is true, and the page on upgrading says what is in the table."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import anomalib_stage
from anomalib_stage.cli import load_command
from anomalib_stage.deprecated.names import ARGUMENTS, MOVED, SYNTHESIS
from anomalib_stage.settings import SynthesisSettings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "upgrade.md").read_text(encoding="utf-8")


def _taker(name: str) -> Any:
    """The function, class or command; of bundles what makes them."""
    if name == "StageBundle":
        return anomalib_stage.StageBundle.build
    return getattr(anomalib_stage, name) if name in anomalib_stage.__all__ else load_command(name.replace("_", "-"))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_new_names_are_arguments(name: str) -> None:
    assert set(ARGUMENTS[name].values()) <= inspect.signature(_taker(name)).parameters.keys()


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name not in anomalib_stage.__all__])
def test_commands_do_not_show_the_old_ones(name: str) -> None:
    assert not ARGUMENTS[name].keys() & inspect.signature(_taker(name)).parameters.keys()


@pytest.mark.parametrize("name", MOVED)
def test_classes_take_the_old_ones_and_need_none(name: str) -> None:
    parameters = inspect.signature(_taker(name)).parameters
    for old in (*MOVED[name], *ARGUMENTS[name]):
        assert parameters[old].default is None


def test_keys_of_synthesis_are_fields_that_files_know_by_the_old_name() -> None:
    for old, new in SYNTHESIS.items():
        model: Any = SynthesisSettings
        *parts, leaf = new.split(".")
        for part in parts:
            model = model.model_fields[part].annotation
        assert model.model_fields[leaf].alias == old.split(".")[-1]


def test_the_page_lists_them_all() -> None:
    shown = []
    for taker, names in ARGUMENTS.items():
        command = taker in anomalib_stage.__all__ or f"`{taker.replace('_', '-')}`"
        dash = "" if command is True else "--"
        shown += [
            tuple(f"`{dash}{name.replace('_', '-') if dash else name}`" for name in pair) for pair in names.items()
        ]
    shown += [(f"`{old}`", f"`{new}`") for old, new in SYNTHESIS.items()]
    shown += [(f"`{old}`", f"`{new}`") for names in MOVED.values() for old, new in names.items()]
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    missing = [pair for pair in shown if not any(all(name in line for name in pair) for line in lines)]
    assert missing == []
