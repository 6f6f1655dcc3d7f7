# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whose a folder is: what was noted in it first decides what may go on there."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError
from anomalib_stage.files.atomic import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["compare_facts", "flatten", "keep_old_digest", "refuse_differences", "write_facts"]

logger = logging.getLogger(__name__)


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


def keep_old_digest(place: Path, noted: object, *, digest: str, legacy: str) -> str:
    """Return the digest of a bundle to go on with in a folder: the one of version 0.1.0, if that was noted there.

    Version 0.1.0 noted a digest of the tensors alone. What was begun with it goes on under it, and whether the bundle's
    manifest is still the one that it was begun with cannot be told; that is said.

    Args:
        place (Path): The folder.
        noted (object): What stands there as the bundle's digest; None: nothing.
        digest (str): Digest of the bundle.
        legacy (str): Its digest as version 0.1.0 computed it.
    """
    if noted != legacy:
        return digest
    logger.warning(
        "%s was begun by version 0.1.0, which noted a digest of the weights alone: it goes on, but whether the bundle "
        "has another noise schedule or other defects' settings than then cannot be told",
        place,
    )
    return legacy


def flatten(values: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and values; those of a nested mapping have its name and a dot in front."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, prefix=f"{prefix}{name}.")
        else:
            yield prefix + name, value
