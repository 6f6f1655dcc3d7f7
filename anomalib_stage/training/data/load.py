# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the user's images, defects and masks for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images, read_image, read_mask
from anomalib_stage.training.data.regions.example import Example

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["load_examples", "load_images"]


SHOWN = 5
"""Missing files that a message names."""


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
        defect_mask_dir (Path | None): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``.
        include (Mapping[str, Collection[str]] | None): ``{folder: stems}``: use only these; None: all.
        rename (Mapping[str, str]): ``{folder: defect}``.
        groups (Mapping[str, str] | None): ``{stem: group}`` or ``{folder/stem: group}``, see :func:`read_groups`.

    Returns:
        list[Example]: Whole images with masks, sorted by path.

    Raises:
        DataError: If a folder, mask or image of ``include`` is missing, a file cannot be read, a mask is empty or has
            another size than its image, or nothing is left.
    """
    if defect_mask_dir is None or not defect_mask_dir.is_dir():
        msg = f"--defect-dir needs --defect-mask-dir, a folder with a mask for each defect image; got {defect_mask_dir}"
        raise DataError(msg)
    examples, known = [], groups or {}
    paths = [path for path in find_images(defect_dir) if path.parent.name != "good"]
    if include is not None:
        _check_included(include, paths, defect_dir=defect_dir)
    for path in paths:
        defect = path.parent.name
        if include is not None and path.stem not in include.get(defect, ()):
            continue
        image = read_image(path)
        mask = read_mask(_find_mask(path, defect_mask_dir / defect), size=(image.shape[0], image.shape[1]), image=path)
        group = known.get(f"{defect}/{path.stem}", known.get(path.stem, ""))
        examples.append(Example(image, mask, rename.get(defect, defect), path.stem, group))
    if not examples:
        msg = f"{defect_dir}: no defect image left; give one sub-folder for each defect, and stems in it to --split"
        raise DataError(msg)
    return examples


def _check_included(include: Mapping[str, Collection[str]], paths: Sequence[Path], *, defect_dir: Path) -> None:
    """Refuse a choice of pictures that are not there: fewer would be learnt from than the user thinks."""
    there = {f"{path.parent.name}/{path.stem}" for path in paths}
    wanted = [f"{defect}/{stem}" for defect, stems in include.items() for stem in sorted(stems)]
    if missing := [name for name in wanted if name not in there]:
        shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        msg = f"--split names {len(missing)} of {len(wanted)} defects that are not in {defect_dir}: {shown}; correct it"
        raise DataError(msg)


def _find_mask(image: Path, folder: Path) -> Path:
    candidates = [folder / f"{image.stem}_mask.png", folder / f"{image.stem}.png"]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        msg = f"{image}: no mask for it; expected {candidates[0]} or {candidates[1].name} beside it"
        raise DataError(msg)
    return path
