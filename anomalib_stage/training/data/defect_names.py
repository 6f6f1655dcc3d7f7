# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the user's folders of defects are learnt under, checked before a picture is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.errors import InputError
from anomalib_stage.weights.defect_name import explain_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

__all__ = ["RENDERED", "check_learnt_names", "name_folders"]

RENDERED = "rendered"
"""What the loss on rendered defects is called; no defect can be learnt under this name."""


def name_folders(
    paths: Sequence[Path], rename: Mapping[str, str], *, defect_dir: Path, include: Collection[str] | None = None
) -> dict[str, str]:
    """Say which defect each folder is learnt as.

    Args:
        paths (Sequence[Path]): All pictures of defects, each in the folder of its defect.
        rename (Mapping[str, str]): ``{folder: defect}``.
        defect_dir (Path): Folder of defects, for messages.
        include (Collection[str] | None): Folders that are used; None: all.

    Returns:
        dict[str, str]: ``{folder: defect}`` of every folder that is used, sorted.

    Raises:
        InputError: If ``rename`` names a folder that is not there.
    """
    folders = sorted({path.parent.name for path in paths})
    if unknown := sorted(set(rename) - set(folders)):
        msg = f"--rename names the folder {unknown[0]!r}; in {defect_dir} there are {', '.join(map(repr, folders))}"
        raise InputError(msg)
    return {folder: rename.get(folder, folder) for folder in folders if include is None or folder in include}


def check_learnt_names(names: Mapping[str, str]) -> None:
    """Refuse names that no bundle can hold.

    Args:
        names (Mapping[str, str]): ``{folder: defect}``.

    Raises:
        InputError: Says which name, why, and how the folder can be learnt under another.
    """
    reserved = f"the defect name {RENDERED!r} is what fit calls its own rendered defects"
    wrong = explain_names(names.values()) or (reserved if RENDERED in names.values() else "")
    if wrong:
        folder = next(folder for folder, name in names.items() if repr(name) in wrong)
        msg = f"{wrong}; rename the folder {folder!r}, or give --rename with another name for it"
        raise InputError(msg)
