# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How the command line reads: jsonargparse, with dashes in options, plain flags, plain lists and one-line errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin

import yaml
from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser

from anomalib_stage.deprecated.arguments import rename
from anomalib_stage.deprecated.names import find_renames

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["PROGRAM", "Parser", "dashed", "renamed"]

PROGRAM = "anomalib-stage"
POSITIONALS = {"--file": "FILE", "--folder": "OUT"}
"""Parameters that are given without their name, and what help calls them: ``anomalib-stage inspect FILE``."""

NAMED = r"(?:Parser k|K)ey \"(\w+)\":?|Option '(?:\w+\.)?(\w+)'"
"""How jsonargparse names a parameter in its complaints."""

OPTIONAL = r"Does not validate .* - Expected a <class 'NoneType'> - ((?:(?! - ).)*) Given value type: .* Given value:"
"""How it complains about what may be left out: as if nothing were a value that could be written."""


class _ConfigFile(ActionConfigFile):
    """A file of options, in which their old names are known too."""

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Any, dest: str, value: str) -> None:  # noqa: ANN401
        """Read the file; see jsonargparse."""
        names = find_renames(parser.prog.split()[-1])
        file = Path(value)
        given = yaml.safe_load(file.read_text(encoding="utf-8")) if names and file.is_file() else None
        if isinstance(given, dict) and names.keys() & given.keys():
            value = yaml.safe_dump(rename(given, names, what=f"{file}: {{}}"))
        ActionConfigFile.apply_config(parser, cfg, dest, value)


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
        if kwargs.get("action") is ActionConfigFile:
            kwargs["action"] = _ConfigFile
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
        line = re.sub(OPTIONAL, r"\1. Got value:", line)
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


def renamed(arguments: Sequence[str]) -> list[str]:
    """Replace options that had another name, with a warning for each.

    Raises:
        InputError: If an option is given under both names.
    """
    names = {_dashed(old): _dashed(new) for old, new in find_renames(next(iter(arguments), "")).items()}
    options = [argument.split("=", 1)[0] for argument in arguments]
    rename(dict.fromkeys(options), names)
    return [names.get(option, option) + rest[len(option) :] for option, rest in zip(options, arguments, strict=True)]


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")
