# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of pictures in JSON files: which to learn from, and which show the same piece."""

from __future__ import annotations

import json
import reprlib
from typing import TYPE_CHECKING, Any

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
        return {defect: _select_side(stems, side) for defect, stems in _read_json(path).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"--split {path} is not a JSON file of the form {{defect: [stems]}}: {error!r}"
        raise DataError(msg) from error


def _select_side(stems: object, side: str) -> set[str]:
    if isinstance(stems, dict):
        chosen = stems["fit"] if side == "fit" else stems.get(side, [])
    else:
        chosen = stems if side == "fit" else []
    if not isinstance(chosen, list) or not all(isinstance(stem, str) for stem in chosen):
        msg = f"{reprlib.repr(chosen)} is not a list of names"
        raise TypeError(msg)
    return set(chosen)


def _read_json(path: Path) -> Any:  # noqa: ANN401 - of any type; the callers say what is wrong with it
    if path.exists() and not path.is_file():  # a device or a pipe may never end
        msg = "it is no file"
        raise ValueError(msg)
    return json.loads(path.read_text(encoding="utf-8-sig"))


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
        content = _read_json(found)
        table = content.get("group_of", content)
        return {str(stem): _check_group(group) for stem, group in table.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        msg = f"--groups {found} is not a JSON file of the form {{stem: group}}: {error!r}"
        raise DataError(msg) from error


def _check_group(value: object) -> str:
    if not isinstance(value, str | int):
        msg = f"group {reprlib.repr(value)} is neither a number nor a name"
        raise TypeError(msg)
    return str(value)
