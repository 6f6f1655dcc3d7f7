# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the user's images, defects and masks for training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.errors import DataError
from anomalib_stage.training.data import Example

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["load_examples", "load_images"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def load_images(folder: Path) -> list[NDArray[np.uint8]]:
    """Read every image below a folder, sorted by path.

    Args:
        folder (Path): Folder, searched recursively.

    Returns:
        list[NDArray[np.uint8]]: ``(H, W, 3)`` RGB each; grey images have three equal channels.

    Raises:
        DataError: If the folder is missing or holds no image, or an image cannot be read.
    """
    return [_read(path, cv2.IMREAD_COLOR)[..., ::-1] for path in _images(folder)]


def load_examples(
    defects: Path, masks: Path | None, *, include: Path | None, rename: Mapping[str, str]
) -> list[Example]:
    """Read real defects with their masks.

    Args:
        defects (Path): Folder with one sub-folder of images for each kind.
        masks (Path | None): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``.
        include (Path | None): JSON file ``{kind: [stems]}`` or ``{kind: {"fit": [stems]}}``: use only these.
        rename (Mapping[str, str]): ``{folder: kind}``.

    Returns:
        list[Example]: Whole images with masks, sorted by path.

    Raises:
        DataError: If a folder or mask is missing, a file cannot be read, a mask is empty or has another size than its
            image, or nothing is left.
    """
    if masks is None or not masks.is_dir():
        msg = f"--defects needs --masks, a folder with a mask for each defect image; got {masks}"
        raise DataError(msg)
    wanted = _include(include)
    examples = []
    for path in _images(defects):
        kind = path.parent.name
        if kind == "good" or (wanted is not None and path.stem not in wanted.get(kind, ())):
            continue
        image = np.ascontiguousarray(_read(path, cv2.IMREAD_COLOR)[..., ::-1])
        examples.append(Example(image, _mask_of(path, masks / kind, image.shape[:2]), rename.get(kind, kind)))
    if not examples:
        msg = f"no defect image left in {defects}; one sub-folder for each kind is expected, and --include must name stems in it"
        raise DataError(msg)
    return examples


def _include(path: Path | None) -> dict[str, set[str]] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text())
        return {kind: set(stems["fit"] if isinstance(stems, dict) else stems) for kind, stems in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"--include {path} is not a JSON file of the form {{kind: [stems]}}: {error!r}"
        raise DataError(msg) from error


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        msg = f"{folder} is not a folder; give a folder of images"
        raise DataError(msg)
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        msg = f"no image in {folder} (searched recursively for {', '.join(sorted(SUFFIXES))})"
        raise DataError(msg)
    return found


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    data = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", dtype=np.uint8), flags)
    if data is None:
        msg = f"{path} cannot be read as an image; remove or repair it"
        raise DataError(msg)
    return np.asarray(data, dtype=np.uint8)


def _mask_of(image: Path, folder: Path, size: tuple[int, ...]) -> NDArray[np.bool_]:
    candidates = [folder / f"{image.stem}_mask.png", folder / f"{image.stem}.png"]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        msg = f"{image} has no mask; expected {candidates[0]} or {candidates[1].name}"
        raise DataError(msg)
    mask = _read(path, cv2.IMREAD_GRAYSCALE) > 127
    if mask.shape != tuple(size):
        msg = f"{path} is {mask.shape[1]}x{mask.shape[0]} px but its image is {size[1]}x{size[0]}; masks must have the image's size"
        raise DataError(msg)
    if not mask.any():
        msg = f"{path} is empty; remove the pair or repair the mask"
        raise DataError(msg)
    return mask
