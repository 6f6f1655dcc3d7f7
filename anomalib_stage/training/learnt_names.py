# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Names of defects in a training and in its bundle: the same, unless a training is resumed under other names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from anomalib_stage.errors import InputError
from anomalib_stage.files.images import find_images
from anomalib_stage.training.checkpoint import read_names
from anomalib_stage.training.data.defect_names import check_learnt_names, name_folders

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from anomalib_stage.training.checkpoint import Checkpoint

__all__ = ["LearntNames", "choose_names"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class LearntNames:
    """What each folder of defects is learnt as, and what that is called in the bundle.

    Args:
        trained (dict[str, str]): ``{folder: defect}`` in the training; seeds and checkpoints follow it.
        final (dict[str, str]): ``{folder: defect}`` in the bundle.
    """

    trained: dict[str, str]
    final: dict[str, str]

    @property
    def changes(self) -> dict[str, str]:
        """Names in the training whose defect has another one in the bundle, and that one."""
        return {old: self.final[folder] for folder, old in self.trained.items() if old != self.final[folder]}

    def apply(self, table: Mapping[str, Value]) -> dict[str, Value]:
        """Return a table by names of the training as one by names of the bundle."""
        changes = self.changes
        return {changes.get(name, name): value for name, value in table.items()}

    def check(self, known: Collection[str]) -> None:
        """Refuse names under which something else would have been learnt.

        Args:
            known (Collection[str]): Defects that are not the user's own: a name among them has a meaning.

        Raises:
            InputError: If a defect gets or loses such a name, or two folders are one defect under only one of both.
        """
        pairs = {(old, self.final[folder]) for folder, old in self.trained.items()}
        apart = len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
        if apart and not any(old in known or new in known for old, new in self.changes.items()):
            return
        told = ", ".join(f"{folder!r} as {name!r}" for folder, name in self.trained.items())
        msg = (
            f"--resume: the training has learnt {told}; with other folders together, or with a name that the base "
            "knows, it would be another training: give such a --rename, or leave the flag out to start anew"
        )
        raise InputError(msg)


def choose_names(
    folder: Path,
    defect_dir: Path | None,
    rename: Mapping[str, str] | None,
    *,
    include: Collection[str] | None,
    checkpoint: Checkpoint | None,
) -> LearntNames:
    """Choose names before a picture is read: those wanted now, and those that a training was started with.

    Args:
        folder (Path): Working folder.
        defect_dir (Path | None): Folder of defects.
        rename (Mapping[str, str] | None): ``{folder: defect}``.
        include (Collection[str] | None): Folders that are used; None: all.
        checkpoint (Checkpoint | None): What is resumed.

    Raises:
        InputError: If a name cannot be used, or ``rename`` is for a folder that is not there.
        DataError: If there is no picture of a defect.
    """
    if defect_dir is None:
        if rename:
            msg = (
                f"--rename names the folder {next(iter(rename))!r}, but there is no --defect-dir with folders; give it"
            )
            raise InputError(msg)
        return LearntNames({}, {})
    paths = [path for path in find_images(defect_dir) if path.parent.name != "good"]
    final = name_folders(paths, rename or {}, defect_dir=defect_dir, include=include)
    check_learnt_names(final)
    trained = final if checkpoint is None else read_names(folder) or _guess_names(final, checkpoint)
    return LearntNames({one: trained.get(one, name) for one, name in final.items()}, final)


def _guess_names(final: Mapping[str, str], checkpoint: Checkpoint) -> dict[str, str]:
    """Return the names of a training that did not note them: those wanted now if it has them, else the folders' own."""
    own = {folder: folder for folder in final}
    known = checkpoint.defects
    return own if known.issuperset(own) and not known.issuperset(final.values()) else dict(final)
