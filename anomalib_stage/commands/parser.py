# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How the command line reads: jsonargparse, with dashes in options, plain flags, plain lists and one-line errors."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin

from jsonargparse import ActionYesNo, ArgumentParser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["PROGRAM", "Parser", "dashed"]

PROGRAM = "anomalib-stage"
POSITIONALS = {"--file": "FILE", "--folder": "OUT"}
"""Parameters that are given without their name, and what help calls them: ``anomalib-stage inspect FILE``."""

NAMED = r"(?:Parser k|K)ey \"(\w+)\":?|Option '(?:\w+\.)?(\w+)'"
"""How jsonargparse names a parameter in its complaints."""


class Parser(ArgumentParser):
    """Parser of commands made from typed functions.

    A parameter ``batch_size`` is the option ``--batch-size``; ``bool`` is a flag without a value; ``list[str]`` takes
    all values up to the next option.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in argparse
        kwargs.setdefault("print_config", "--print-config")
        super().__init__(*args, **kwargs)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:  # noqa: ANN401
        """Add an argument as ``argparse`` does, in the manner of this class."""
        names = [name.replace("_", "-") if name.startswith("--") else name for name in args]
        hint = getattr(kwargs.get("action"), "_typehint", kwargs.get("type"))
        if hint is bool:
            del kwargs["type"]
            kwargs["action"] = ActionYesNo(no_prefix=None)  # type: ignore[arg-type] # None: no second option
        elif any(get_origin(option) is list for option in (hint, *get_args(hint))):
            del kwargs["action"]
            names, kwargs = names[:1], kwargs | {"type": str, "nargs": "+"}
        elif names[0] in POSITIONALS:
            del kwargs["required"]
            names, kwargs["metavar"] = [names[0].lstrip("-")], POSITIONALS[names[0]]
        action: argparse.Action = super().add_argument(*names, **kwargs)
        return action

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say in one line what is wrong and where help is; exit status 2."""
        parser = getattr(ex, "subcommand_parser", None) or self
        line = " ".join(re.sub(NAMED, _option, message).split()).rstrip(".")
        command = parser.prog.replace(" [options]", "")
        sys.stderr.write(f"{PROGRAM}: error: {line}; see {command} --help\n")
        self.exit(2)


def _option(found: re.Match[str]) -> str:
    option = "--" + (found[1] or found[2]).replace("_", "-")
    return POSITIONALS.get(option, option)


def dashed(arguments: Sequence[str]) -> list[str]:
    """Accept ``--batch_size`` for ``--batch-size``, as in anomalib's own command line."""
    return [
        "=".join([name.replace("_", "-"), *value]) if name.startswith("--") else argument
        for argument in arguments
        for name, *value in [argument.split("=", 1)]
    ]
