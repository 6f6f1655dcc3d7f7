# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The one rule for folders of good images: masks and defects that lie in them are refused."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["check_good", "check_no_masks", "find_good", "find_good_folder", "is_two_valued"]

logger = logging.getLogger(__name__)

GOOD = frozenset(("defect_free", "good", "normal", "normals", "ok"))
"""Folder names that data sets give to good images, in lower case."""

MASKS = frozenset(
    (
        *("annotation", "annotations", "ground_truth", "groundtruth", "gt", "label", "labels", "mask", "masks"),
        *("segmentation", "segmentations"),
    )
)
"""Those that they give to masks."""

CERTAIN = frozenset(("ground_truth", "groundtruth"))
"""Those of masks that are never the name of a product."""

DEFECTS = frozenset(
    (
        *("abnormal", "anomalies", "anomalous", "anomaly", "bad", "broken", "defect", "defective", "defects"),
        *("faulty", "ko", "ng", "nok", "not_good", "reject", "rejects"),
    )
)
"""Those that they give to defects."""

TEST = "test"
"""Folder of data sets with a sub-folder for each defect."""

SPLITS = frozenset((TEST, "train", "training", "val", "validation"))
"""Those that they give to parts of a set; good images may lie in each."""

BLACK_AND_WHITE = 0.9
"""From this share of images with two levels on, a set is one of black and white pictures."""

MASK_ENDINGS = ("_gt", "_label", "_mask")
"""Endings of file names of masks that lie beside their images."""


def find_good_folder(data: Path) -> Path:
    """Return the folder of good images: ``train/good`` of a data set root, or the folder itself."""
    inside = data / "train" / "good"
    return inside if inside.is_dir() else data


def find_good(data: Path, *, flag: str, apart_from: Sequence[Path | None] = ()) -> tuple[Path, list[Path]]:
    """Find good images, by the same rule for every command.

    Args:
        data (Path): Folder of good images, searched recursively, or a data set root with ``train/good``.
        flag (str): Its option, for messages.
        apart_from (Sequence[Path | None]): Folders of defects and masks that are given too.

    Returns:
        tuple[Path, list[Path]]: The folder of good images and its images, sorted, at least one.

    Raises:
        DataError: If there are none, or some of them lie where defects or masks lie; says how many.
    """
    root = find_good_folder(data)
    if root != data:
        logger.info("%s %s: good images are taken from %s", flag, data, root)
    paths = find_images(root)
    check_good(paths, root=root, flag=flag, apart_from=apart_from)
    return root, paths


def check_good(paths: Sequence[Path], *, root: Path, flag: str, apart_from: Sequence[Path | None] = ()) -> None:
    """Refuse a folder of good images with pictures that lie where data sets keep defects and masks.

    These are folders with such names (``ground_truth``, ``masks``, ``defects``, ``ng`` and so on), folders beside one
    that is called ``good``, ``ok`` or ``normal``, those in ``test``, files that are called like another and ``_mask``,
    ``_label`` or ``_gt``, and the folders that are given as those of defects and masks.

    Args:
        paths (Sequence[Path]): Images.
        root (Path): The folder that they were found in.
        flag (str): Its option, for messages.
        apart_from (Sequence[Path | None]): Folders of defects and masks that are given too.

    Raises:
        DataError: Says how many there are, where, and what to give instead.
    """
    others = [folder.resolve() for folder in apart_from if folder is not None]
    parents = {path.parent for path in paths}
    beside = _find_beside_good(parents, root)
    odd = {parent: why for parent in parents if (why := _explain_folder(parent, root, beside, others))}
    stems = {(path.parent, path.stem) for path in paths}
    found = [(path, odd.get(path.parent) or _explain_name(path, stems)) for path in paths]
    strange = [(path, why) for path, why in found if why]
    if strange:
        counts = ", ".join(f"{count} {why}" for why, count in Counter(why for _, why in strange).most_common())
        good = next((f" such as {parent}" for parent in sorted(parents) if parent.name.lower() in GOOD), "")
        msg = (
            f"{flag} {root}: {len(strange)} of {len(paths)} pictures are not good images ({counts}), such as "
            f"{strange[0][0]}; give the folder that holds good images alone{good}"
        )
        raise DataError(msg)


def _find_beside_good(parents: Iterable[Path], root: Path) -> set[Path]:
    """Return the folders beside one for good images, and those in ``test``: data sets keep their defects there."""
    inside = {folder for parent in parents for folder in (parent, *parent.parents) if folder.is_relative_to(root)}
    homes = {folder.parent for folder in inside if folder != root and folder.name.lower() in GOOD}
    holding_good = {folder for home in homes for folder in (home, *home.parents)}
    found = set()
    for folder in inside - {root}:
        if folder.name.lower() in GOOD | SPLITS:
            continue
        tested = folder.parent.name.lower() == TEST and folder not in holding_good
        if folder.parent in homes or tested:
            found.add(folder)
    return found


def _explain_folder(folder: Path, root: Path, beside: set[Path], others: Sequence[Path]) -> str:
    own = [root.name.lower()] if root.name.lower() in CERTAIN else []  # a product may be called "labels"
    names = own + [part.lower() for part in folder.relative_to(root).parts]
    for names_of, what in ((MASKS, "in a folder of masks"), (DEFECTS, "in a folder of defects")):
        if name := next((name for name in names if name in names_of), ""):
            return f"{what}, {name}"
    if other := next((other for other in others if folder.resolve().is_relative_to(other)), None):
        return f"in {other.name}, which is given for defects or masks"
    found = next((one for one in (folder, *folder.parents) if one in beside), None)
    return f"in {found.name}, where defects lie beside good images" if found else ""


def _explain_name(path: Path, stems: set[tuple[Path, str]]) -> str:
    for ending in MASK_ENDINGS:
        if path.stem.lower().endswith(ending) and (path.parent, path.stem[: -len(ending)]) in stems:
            return f"called *{ending} beside their images"
    return ""


def is_two_valued(pixels: NDArray[Any]) -> bool:
    """Tell whether an image has nothing but black and one level of grey, both of them, as masks do.

    Args:
        pixels (NDArray[Any]): ``(H, W)`` or ``(H, W, C)``.
    """
    brightest = pixels.max(initial=0)
    if brightest == 0 or pixels.min() != 0:
        return False
    if pixels.ndim == 3 and not (pixels == pixels[..., :1]).all():
        return False
    return bool(((pixels == 0) | (pixels == brightest)).all())


def check_no_masks(two_valued: Sequence[Path], *, count: int, root: Path, flag: str) -> None:
    """Refuse a folder where some of the images have two levels only, and others have more: those are masks.

    Args:
        two_valued (Sequence[Path]): Images with two levels (:func:`is_two_valued`).
        count (int): All images that were looked at.
        root (Path): Folder of good images.
        flag (str): Its option, for messages.

    Raises:
        DataError: Says how many there are. Where nine of ten are like that there is a warning: some sets are black and
            white.
    """
    if not two_valued:
        return
    if len(two_valued) >= BLACK_AND_WHITE * count and root.name.lower() not in MASKS:
        seen = f"{len(two_valued)} of {count} images have black and one other level only"
        logger.warning("%s %s: %s; are these masks?", flag, root, seen)
        return
    msg = (
        f"{flag} {root}: {len(two_valued)} of {count} pictures look like masks (black and one other level only), such "
        f"as {two_valued[0]}; give the folder that holds good images alone"
    )
    raise DataError(msg)
