# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the user's images, defects and masks for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import DataError
from anomalib_stage.files.good_folder import find_good
from anomalib_stage.files.image_reader import ImageReader
from anomalib_stage.files.images import find_images
from anomalib_stage.files.masks import load_mask
from anomalib_stage.training.data.defect_files import find_defects, list_defects, say_groups
from anomalib_stage.training.data.regions.example import Example
from anomalib_stage.training.data.upright import check_upright

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["load_examples", "load_pictures"]


def load_pictures(
    *,
    normal: Path | None,
    defect_dir: Path | None,
    defect_mask_dir: Path | None,
    include: Mapping[str, Collection[str]] | None = None,
    rename: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
    white_level: int | None = None,
) -> tuple[list[Example], list[NDArray[np.uint8]], ImageReader]:
    """Read good images and real defects with their masks, all in one range.

    Args:
        normal (Path | None): Folder of good images, searched recursively, or a data set root with ``train/good``.
        defect_dir (Path | None): As in :func:`load_examples`; so are the next four.
        defect_mask_dir (Path | None): Folder of masks.
        include (Mapping[str, Collection[str]] | None): What to use.
        rename (Mapping[str, str] | None): Names of defects.
        groups (Mapping[str, str] | None): Captures of one piece.
        white_level (int | None): Value of white in images with more than 8 bit; None: found over all of them.

    Returns:
        tuple[list[Example], list[NDArray[np.uint8]], ImageReader]: Defects; good images ``(H, W, 3)`` RGB; and what
        reads further pictures of the set.

    Raises:
        DataError: If a folder or file cannot be used; says which. If defects or masks lie among the good images.
    """
    apart = (defect_dir, defect_mask_dir)
    root, paths = find_good(normal, flag="--data", apart_from=apart) if normal else (Path(), [])
    defects = find_images(defect_dir) if defect_dir else []
    reader = ImageReader([*paths, *defects], white_level=white_level)
    examples: list[Example] = []
    if defect_dir:
        examples = load_examples(
            defect_dir, defect_mask_dir, include=include, rename=rename or {}, groups=groups, reader=reader
        )
    good = reader.read_good(paths, root=root, flag="--data")
    reader.say()
    check_upright(examples)
    return examples, good, reader


def load_examples(
    defect_dir: Path,
    defect_mask_dir: Path | None,
    *,
    include: Mapping[str, Collection[str]] | None,
    rename: Mapping[str, str],
    groups: Mapping[str, str] | None = None,
    reader: ImageReader | None = None,
) -> list[Example]:
    """Read real defects with their masks.

    Args:
        defect_dir (Path): Folder with one sub-folder of images for each defect.
        defect_mask_dir (Path | None): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``,
            in any format that is read.
        include (Mapping[str, Collection[str]] | None): ``{folder: stems}``: use only these; None: all.
        rename (Mapping[str, str]): ``{folder: defect}``.
        groups (Mapping[str, str] | None): ``{stem: group}`` or ``{folder/stem: group}``, see :func:`read_groups`.
        reader (ImageReader | None): Reads the pictures in the range of the whole set; None: in that of this folder.

    Returns:
        list[Example]: Whole images with masks, sorted by path.

    Raises:
        DataError: If a folder, mask or image of ``include`` is missing, two images have one mask, a file cannot be
            read, a mask is empty or has another size than its image, or nothing is left.
    """
    if defect_mask_dir is None or not defect_mask_dir.is_dir():
        msg = f"--defect-dir needs --defect-mask-dir, a folder with a mask for each defect image; got {defect_mask_dir}"
        raise DataError(msg)
    examples, known = [], groups or {}
    paths = list_defects(defect_dir)
    say_groups(known, paths)
    reader = reader or ImageReader(paths)
    for file in find_defects(defect_dir, defect_mask_dir, include=include, rename=rename):
        image, defect, stem = reader.read(file.image), file.defect, file.image.stem
        mask = load_mask(file.mask, size=(image.shape[0], image.shape[1]), image=file.image)
        group = known.get(f"{defect}/{stem}", known.get(stem, ""))
        seen: dict[str, Any] = {"levels": mask.levels, "orientation": reader.orientations[file.image]}
        examples.append(Example(image, mask.pixels, rename.get(defect, defect), file.name, group, **seen))
    if not examples:
        msg = f"{defect_dir}: no defect image left; give one sub-folder for each defect, and stems in it to --split"
        raise DataError(msg)
    return examples
