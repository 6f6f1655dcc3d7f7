# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of pictures in JSON files: which to learn from, and which show the same piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_groups", "read_include"]


def read_include(path: Path, *, side: str = "fit") -> dict[str, set[str]]:
    """Read which to use from a JSON file ``{defect: [stems]}`` or ``{defect: {"fit": [stems], "eval": [stems]}}``.

    Args:
        path (Path): The file.
        side (str): ``fit``, or ``eval`` for those kept for the test; a plain list has none of these.

    Raises:
        DataError: If it cannot be read or is not of that form.
    """
    try:
        content = json.loads(path.read_text())
        return {defect: set(_select_side(stems, side)) for defect, stems in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"--split {path} is not a JSON file of the form {{defect: [stems]}}: {error!r}"
        raise DataError(msg) from error


def _select_side(stems: dict[str, list[str]] | list[str], side: str) -> list[str]:
    if isinstance(stems, dict):
        return stems["fit"] if side == "fit" else stems.get(side, [])
    return stems if side == "fit" else []


def read_groups(path: Path | None, *, defect_dir: Path) -> dict[str, str]:
    """Read which images show the same piece, from a JSON file ``{stem: group}`` or ``{"group_of": {stem: group}}``.

    Where folders use the same stems, ``folder/stem`` says which is meant.

    Args:
        path (Path | None): The file; None: ``groups.json`` in the folder of defects or beside it, if there is one.
        defect_dir (Path): Folder of defects.

    Returns:
        dict[str, str]: Group of each stem; empty if there is no file.

    Raises:
        DataError: If the file cannot be read or is not of that form.
    """
    beside = [folder / "groups.json" for folder in (defect_dir, defect_dir.parent)]
    found = path or next((file for file in beside if file.is_file()), None)
    if found is None:
        return {}
    try:
        content = json.loads(found.read_text())
        table = content.get("group_of", content)
        return {str(stem): _check_group(group) for stem, group in table.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        msg = f"--groups {found} is not a JSON file of the form {{stem: group}}: {error!r}"
        raise DataError(msg) from error


def _check_group(value: object) -> str:
    if not isinstance(value, str | int):
        msg = f"group {value!r} is neither a number nor a name"
        raise TypeError(msg)
    return str(value)
