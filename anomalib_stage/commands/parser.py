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
    from collections.abc import Mapping, Sequence

__all__ = ["PROGRAM", "Parser", "dashed", "gathered", "renamed"]

PROGRAM = "anomalib-stage"
POSITIONALS = {"--file": "FILE", "--folder": "OUT"}
"""Parameters that are given without their name, and what help calls them: ``anomalib-stage inspect FILE``."""

OPTION = re.compile(r"-(?![\d.])")
"""How an option begins that ends the values of the one before; a negative number is a value."""

NAMED = r"(?:Parser k|K)ey \"(\w+)\":?|Option '(?:\w+\.)?(\w+)'"
"""How jsonargparse names a parameter in its complaints."""

OPTIONAL = r"Does not validate .* - Expected a <class 'NoneType'> - ((?:(?! - ).)*) Given value type: .* Given value:"
"""How it complains about what may be left out: as if nothing were a value that could be written."""


class _ConfigFile(ActionConfigFile):
    """A file of options, in which their old names are known too, and lists may hold numbers."""

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Any, dest: str, value: str) -> None:  # noqa: ANN401
        """Read the file; see jsonargparse."""
        file = Path(value)
        given = _read_options(file) if file.is_file() else None
        if isinstance(given, dict):
            read = rename(given, find_renames(parser.prog.split()[-1]), what=f"{file}: {{}}")
            for name, item in read.items():
                if isinstance(item, list) and getattr(parser, "several", {}).get(_dashed(name)) is list:
                    read[name] = [str(one) for one in item]
            value = value if read == given else yaml.safe_dump(read)
        ActionConfigFile.apply_config(parser, cfg, dest, value)


class Parser(ArgumentParser):
    """Parser of commands made from typed functions.

    A parameter ``batch_size`` is the option ``--batch-size``; ``bool`` is a flag without a value; ``list[str]`` and
    ``tuple[float, float]`` take all values up to the next option, or a list in brackets.

    Attributes:
        several (dict[str, type]): Options that take several values, each with ``list`` or ``tuple``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in argparse
        self.several: dict[str, type] = {}
        kwargs.setdefault("print_config", "--print-config")
        super().__init__(*args, **kwargs)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:  # noqa: ANN401
        """Add an argument as ``argparse`` does, in the manner of this class."""
        names = [name.replace("_", "-") if name.startswith("--") else name for name in args]
        if kwargs.get("action") is ActionConfigFile:
            kwargs["action"] = _ConfigFile
        hint = getattr(kwargs.get("action"), "_typehint", kwargs.get("type"))
        origins = [get_origin(option) for option in (hint, *get_args(hint))]
        if list in origins or tuple in origins:
            self.several[names[0]] = list if list in origins else tuple
        if hint is bool:
            del kwargs["type"]
            kwargs["action"] = ActionYesNo(no_prefix=None)  # type: ignore[arg-type] # None: no second option
        elif tuple in origins:
            kwargs["metavar"] = "NUMBER NUMBER"
        elif list in origins:
            del kwargs["action"]
            names, kwargs = names[:1], kwargs | {"type": str, "nargs": "+"}
        elif names[0] in POSITIONALS:
            del kwargs["required"]
            names, kwargs["metavar"] = [names[0].lstrip("-")], POSITIONALS[names[0]]
        action: argparse.Action = super().add_argument(*names, **kwargs)
        return action

    def parse_args(  # type: ignore[override] # argparse's overloads
        self,
        args: Sequence[str] | None = None,
        *more: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Parse as jsonargparse does, once the values of each option are together."""
        return super().parse_args(None if args is None else gathered(args, self.several), *more, **kwargs)

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


def _read_options(file: Path) -> Any:  # noqa: ANN401 - of any type; jsonargparse says what is wrong with it
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def gathered(arguments: Sequence[str], several: Mapping[str, type]) -> list[str]:
    """Write what options with several values were given in one way.

    A pair may be ``0.5 1``, ``0.5,1``, ``[0.5, 1]`` or ``(0.5, 1)``, a list ``hole stain`` or ``[hole, stain]``.

    Args:
        arguments (Sequence[str]): Those of one command.
        several (Mapping[str, type]): Options that take several values, each with ``tuple`` or ``list``.

    Returns:
        list[str]: Pairs in one argument, lists in one argument for each value; everything else as it was.
    """
    found, waiting = list[str](), list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option, given, value = argument.partition("=")
        if option not in several:
            found.append(argument)
            continue
        values = [value] if given else []
        while waiting and not OPTION.match(waiting[0]):
            values.append(waiting.pop(0))
        found += _write_pair(option, values) if several[option] is tuple else [option, *_read_list(values)]
    return found


def _write_pair(option: str, values: Sequence[str]) -> list[str]:
    numbers = re.split(r"[\s,]+", " ".join(values).strip("[]() "))
    if numbers in ([""], ["null"]):
        return [option, *values]
    return [f"{option}=[{', '.join(numbers)}]"]


def _read_list(values: list[str]) -> list[str]:
    text = " ".join(values).strip()
    if not (text.startswith("[") and text.endswith("]")):
        return values
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError:
        return values
    return [str(value) for value in read]


def renamed(arguments: Sequence[str]) -> list[str]:
    """Replace options that had another name, with a warning for each.

    Raises:
        InputError: If an option is given under both names.
    """
    names = {_dashed(old): _dashed(new) for old, new in find_renames(next(iter(arguments), "")).items()}
    options = [argument.split("=", 1)[0] for argument in arguments]
    rename(dict.fromkeys(options), names)
    return [names.get(option, option) + rest[len(option) :] for option, rest in zip(options, arguments, strict=True)]


def _dashed(name: object) -> str:
    return "--" + str(name).replace("_", "-")
