# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whose a folder is: what was noted in it first decides what may go on there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError
from anomalib_stage.files.atomic import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["compare_facts", "flatten", "refuse_differences", "write_facts"]


def write_facts(file: Path, facts: Mapping[str, Any]) -> None:
    """Note what decides the content of a folder.

    Raises:
        DataError: If it cannot be written.
    """
    write_file(file, json.dumps(dict(facts), indent=1).encode())


def compare_facts(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str]:
    """Compare what a folder is of with what would go on in it.

    Args:
        there (Mapping[str, Any]): Facts read from the folder, as JSON values by name.
        here (Mapping[str, Any]): Facts of what would go on; only their names count.

    Returns:
        dict[str, str]: For each name that differs ``there -> here``; names in nested mappings are joined by dots.
    """
    old = dict(flatten({name: there.get(name) for name in here}))
    new = dict(flatten(json.loads(json.dumps(dict(here)))))
    names = [*new, *(name for name in old if name not in new)]
    return {name: f"{old.get(name)} -> {new.get(name)}" for name in names if old.get(name) != new.get(name)}


def refuse_differences(place: str, differences: Mapping[str, str], *, what: str, advice: str) -> None:
    """Refuse a folder that is of something else.

    Args:
        place (str): The folder, as the message names it, such as ``--out pairs``.
        differences (Mapping[str, str]): See :func:`compare_facts`.
        what (str): What a folder of this sort holds, such as ``job``.
        advice (str): What to do.

    Raises:
        InputError: If there is a difference; names all of them.
    """
    if differences:
        listed = "; ".join(f"{name} {change}" for name, change in differences.items())
        msg = f"{place} holds another {what} (there -> here): {listed}; {advice}"
        raise InputError(msg)


def flatten(values: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and values; those of a nested mapping have its name and a dot in front."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, prefix=f"{prefix}{name}.")
        else:
            yield prefix + name, value
