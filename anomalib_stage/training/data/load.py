# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the user's images, defects and masks for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images, read_image, read_mask
from anomalib_stage.training.data.defect_files import find_defects, list_defects, say_groups
from anomalib_stage.training.data.regions.example import Example

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["load_examples", "load_images"]


def load_images(folder: Path) -> list[NDArray[np.uint8]]:
    """Read every image below a folder, sorted by path.

    Args:
        folder (Path): Folder, searched recursively.

    Returns:
        list[NDArray[np.uint8]]: ``(H, W, 3)`` RGB each; grey images have three equal channels.

    Raises:
        DataError: If the folder is missing or holds no image, or an image cannot be read.
    """
    return [read_image(path) for path in find_images(folder)]


def load_examples(
    defect_dir: Path,
    defect_mask_dir: Path | None,
    *,
    include: Mapping[str, Collection[str]] | None,
    rename: Mapping[str, str],
    groups: Mapping[str, str] | None = None,
) -> list[Example]:
    """Read real defects with their masks.

    Args:
        defect_dir (Path): Folder with one sub-folder of images for each defect.
        defect_mask_dir (Path | None): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``,
            in any format that is read.
        include (Mapping[str, Collection[str]] | None): ``{folder: stems}``: use only these; None: all.
        rename (Mapping[str, str]): ``{folder: defect}``.
        groups (Mapping[str, str] | None): ``{stem: group}`` or ``{folder/stem: group}``, see :func:`read_groups`.

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
    say_groups(known, list_defects(defect_dir))
    for file in find_defects(defect_dir, defect_mask_dir, include=include, rename=rename):
        image, defect, stem = read_image(file.image), file.defect, file.image.stem
        mask = read_mask(file.mask, size=(image.shape[0], image.shape[1]), image=file.image)
        group = known.get(f"{defect}/{stem}", known.get(stem, ""))
        examples.append(Example(image, mask, rename.get(defect, defect), file.name, group))
    if not examples:
        msg = f"{defect_dir}: no defect image left; give one sub-folder for each defect, and stems in it to --split"
        raise DataError(msg)
    return examples
