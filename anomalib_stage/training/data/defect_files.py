# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Files of real defects: the pictures that are used, the mask of each, and names that tell them apart."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images
from anomalib_stage.files.pairing import MaskNames, find_masks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

__all__ = ["DefectFile", "check_included", "find_defects", "list_defects", "name_pictures", "say_groups"]

logger = logging.getLogger(__name__)

SHOWN = 5
"""Missing files that a message names."""


@dataclass(frozen=True)
class DefectFile:
    """A picture of a real defect.

    Args:
        image (Path): Its file.
        mask (Path): The file of its mask, of no other picture.
        name (str): Its file's name without the suffix; its path in the folder of defects where that would be no
            picture's alone.
    """

    image: Path
    mask: Path
    name: str

    @property
    def defect(self) -> str:
        """The defect: the folder that the picture lies in."""
        return self.image.parent.name


def list_defects(defect_dir: Path) -> list[Path]:
    """Return every picture below a folder of defects, sorted by path; those in a folder ``good`` show none.

    Raises:
        DataError: If the folder is missing or holds no picture.
    """
    return [path for path in find_images(defect_dir) if path.parent.name != "good"]


def find_defects(
    defect_dir: Path, mask_dir: Path, *, include: Mapping[str, Collection[str]] | None, rename: Mapping[str, str]
) -> list[DefectFile]:
    """Find the pictures to use and their masks, and say which masks are of no picture.

    Args:
        defect_dir (Path): Folder with one sub-folder of pictures for each defect.
        mask_dir (Path): Folder with the same sub-folders of masks, named like the pictures
            (:mod:`anomalib_stage.files.pairing`).
        include (Mapping[str, Collection[str]] | None): ``{folder: stems}``: use only these; None: all.
        rename (Mapping[str, str]): ``{folder: defect}``; pictures of one defect get different names.

    Returns:
        list[DefectFile]: Sorted by path.

    Raises:
        DataError: If a folder, or a picture of ``include``, is missing, or a picture has no mask of its own.
    """
    paths = list_defects(defect_dir)
    if include is not None:
        check_included(include, paths, defect_dir=defect_dir)
    names = MaskNames(mask_dir, find_masks(mask_dir), shortest=2)
    used = [path for path in paths if include is None or path.stem in include.get(path.parent.name, ())]
    mask_of = names.match([path.as_posix() for path in used])
    called = name_pictures(paths, defect_dir, rename=rename)
    found = [DefectFile(path, _get_mask(mask_of, path, mask_dir), called[path]) for path in used]
    _say_unused(names, paths, mask_dir)
    return found


def check_included(include: Mapping[str, Collection[str]], paths: Sequence[Path], *, defect_dir: Path) -> None:
    """Refuse a choice of pictures that are not there, or are two: others would be learnt from than the user thinks.

    Args:
        include (Mapping[str, Collection[str]]): ``{folder: stems}``.
        paths (Sequence[Path]): The pictures that there are.
        defect_dir (Path): Folder of defects, for messages.

    Raises:
        DataError: Names them.
    """
    there = Counter(f"{path.parent.name}/{path.stem}" for path in paths)
    wanted = [f"{defect}/{stem}" for defect, stems in include.items() for stem in sorted(stems)]
    if missing := [name for name in wanted if name not in there]:
        shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        msg = f"--split names {len(missing)} of {len(wanted)} defects that are not in {defect_dir}: {shown}; correct it"
        raise DataError(msg)
    if twice := [name for name in wanted if there[name] > 1]:
        both = [str(path) for path in paths if f"{path.parent.name}/{path.stem}" == twice[0]]
        msg = (
            f"--split names {len(twice)} of {len(wanted)} defects that could be two pictures: {twice[0]} is {both[0]} "
            f"or {both[1]}; rename one of them"
        )
        raise DataError(msg)


def name_pictures(paths: Sequence[Path], root: Path, *, rename: Mapping[str, str]) -> dict[Path, str]:
    """Name pictures so that no two of a defect have one name: by the stem, where it is not enough by the path.

    Args:
        paths (Sequence[Path]): Pictures, each in the folder of its defect.
        root (Path): Folder that all of them are in.
        rename (Mapping[str, str]): ``{folder: defect}``.
    """
    keys = {path: (rename.get(path.parent.name, path.parent.name), path.stem) for path in paths}
    counts = Counter(keys.values())
    return {path: path.stem if counts[key] == 1 else path.relative_to(root).as_posix() for path, key in keys.items()}


def say_groups(groups: Mapping[str, str], paths: Sequence[Path]) -> None:
    """Warn about groups that are of no picture at all, and of stems that several folders use.

    Args:
        groups (Mapping[str, str]): ``{stem: group}`` or ``{folder/stem: group}``.
        paths (Sequence[Path]): The pictures that there are.
    """
    folders: dict[str, set[str]] = {}
    for path in paths:
        if f"{path.parent.name}/{path.stem}" not in groups:
            folders.setdefault(path.stem, set()).add(path.parent.name)
    if groups and not any(path.stem in groups or f"{path.parent.name}/{path.stem}" in groups for path in paths):
        logger.warning("none of the %d groups, such as %s, is of a picture here", len(groups), next(iter(groups)))
    shared = [stem for stem, where in folders.items() if len(where) > 1 and stem in groups]
    if shared:
        logger.warning(
            "%d stems of the groups, such as %s, are of pictures in several folders (%s), which count as one piece; "
            "write folder/stem where they are not",
            *(len(shared), shared[0], ", ".join(sorted(folders[shared[0]]))),
        )


def _get_mask(mask_of: Mapping[str, str], image: Path, mask_dir: Path) -> Path:
    name = mask_of.get(image.as_posix())
    if name is None:
        expected = mask_dir / image.parent.name / f"{image.stem}_mask.png"
        msg = f"{image}: no mask for it; expected {expected} or {image.stem}.png beside it, in any image format"
        raise DataError(msg)
    mask = mask_dir / name
    if mask.resolve() == image.resolve():
        msg = f"{mask} is the picture itself, not a mask of it; give another folder as --defect-mask-dir"
        raise DataError(msg)
    return mask


def _say_unused(names: MaskNames, paths: Sequence[Path], mask_dir: Path) -> None:
    """Warn about masks of the defects that are of no picture, used or not."""
    try:
        names.match([path.as_posix() for path in paths])
    except DataError:  # two pictures, one of them not used, share what they want
        return
    defects = {path.parent.name for path in paths}
    unused = [mask for mask in names.list_unused() if mask.rpartition("/")[0].rpartition("/")[2] in defects]
    if unused:
        logger.warning(
            "%s: %d masks are of no picture, such as %s; are their pictures missing, or named otherwise?",
            *(mask_dir, len(unused), unused[0]),
        )
