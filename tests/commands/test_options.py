# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Options made of a settings model."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from pydantic import Field

from anomalib_stage.commands.options import options_of
from anomalib_stage.settings import Settings


class Part(Settings):
    name: str


class Model(Settings):
    depth: int = Field(ge=1, description="How deep.")
    share: float | None = Field(None, description="How much, {of: all}.")
    part: Part = Field(Part(name="a"), description="Which.")
    hidden: bool = Field(default=False, description="Not shown.")


@options_of(Model, without=("hidden",), types={"part": Literal["a", "b"]})
def command(*, out: str, resume: bool = False, **more: Any) -> dict[str, Any]:
    """Do it.

    Args:
        out: Where to.
        resume: Go on.
    """
    return {"out": out, "resume": resume} | more


def test_the_command_shows_its_own_options_and_those_of_the_model() -> None:
    shown = inspect.signature(command).parameters
    assert {name: (option.annotation, option.default) for name, option in shown.items()} == {
        "out": (str, inspect.Parameter.empty),
        "resume": (bool, False),
        "depth": (int, inspect.Parameter.empty),
        "share": (float | None, None),
        "part": (Literal["a", "b"], "a"),
    }
    assert command(out="x", depth=3) == {"out": "x", "resume": False, "depth": 3}


def test_its_help_is_the_descriptions() -> None:
    lines = [line.strip() for line in (inspect.getdoc(command) or "").splitlines()]
    assert lines == [
        "Do it.",
        "",
        "Args:",
        "out: Where to.",
        "resume: Go on.",
        "depth: How deep.",
        "share: How much, {of: all}.",
        "part: Which.",
    ]


def test_a_command_without_options_of_its_own_gets_them_too() -> None:
    @options_of(Part)
    def bare(**more: Any) -> dict[str, Any]:
        """Do it."""
        return more

    assert list(inspect.signature(bare).parameters) == ["name"]
    assert "Args:\n    name: " in (inspect.getdoc(bare) or "")
