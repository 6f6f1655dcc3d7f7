# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Finding and reading images and masks."""

from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalib_stage.errors import DataError
from anomalib_stage.files.decoding import decode_stored
from anomalib_stage.files.pixels import count_colours, reduce_to_eight_bit, repeat_grey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "LoadedImage", "find_images", "is_passed_over", "load_image", "read_bytes", "read_image"]

logger = logging.getLogger(__name__)

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""File name endings that count as images, in lower case: those of anomalib."""

SYSTEM_FOLDERS = frozenset(
    (
        "@eadir",
        "@recycle",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "__macosx",
        "lost+found",
        "system volume information",
    )
)
"""Folders that network drives and desktops make, in lower case; nobody's images are in them."""

_said: set[str] = set()


def find_images(folder: Path) -> list[Path]:
    """Return every image below a folder, sorted by path.

    Hidden files and folders (whose names begin with a dot), folders that systems leave behind and, as in anomalib,
    linked folders are passed over. What is passed over is said once, with its number.

    Args:
        folder (Path): Folder, searched recursively; it may itself be hidden.

    Returns:
        list[Path]: At least one path.

    Raises:
        DataError: If the folder is missing or holds no image, or a folder in it cannot be read.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; give a folder of images"
        raise DataError(msg)
    found: list[Path] = []
    passed: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for path, reason in _walk(folder):
        if path.suffix.lower() not in SUFFIXES:
            others[path.suffix.lower() or path.name] += not reason
        elif reason:
            passed[reason] += 1
        else:
            found.append(path)
    _say(folder, passed, others)
    if not found:
        left = f"; left out {_list(passed)}" if passed else ""
        msg = f"{folder}: no image in it (looked recursively for {', '.join(SUFFIXES)}){left}"
        raise DataError(msg)
    return sorted(found)


def is_passed_over(path: Path, folder: Path) -> bool:
    """Tell whether a file below a folder is hidden, or in a folder that is hidden or left behind by a system."""
    if not path.is_relative_to(folder):
        return False
    return any(name.startswith(".") or name.lower() in SYSTEM_FOLDERS for name in path.relative_to(folder).parts)


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file below a folder, and why it is passed over, if it is."""
    reasons = {str(folder): ""}
    for top, folders, files in os.walk(folder, onerror=_refuse):
        reason = reasons[top]
        for name in folders:
            path = Path(top, name)
            if path.is_symlink():
                yield path / "*.png", f"linked folder {name}"
            passed = name.startswith(".") or name.lower() in SYSTEM_FOLDERS
            reasons[str(path)] = reason or (name if passed else "")
        for name in files:
            path = Path(top, name)
            if path.is_file():
                yield path, reason or ("hidden files" if name.startswith(".") else "")


def _refuse(error: OSError) -> None:
    msg = f"{error.filename}: cannot be searched ({error.strerror}); check its permissions, or move it away"
    raise DataError(msg) from error


def _say(folder: Path, passed: Counter[str], others: Counter[str]) -> None:
    text = f"{folder}: left out {_list(passed)}" if passed else ""
    more = f"{folder}: files that are no images here: {_list(others)}" if +others else ""
    for line, level in ((text, logging.WARNING), (more, logging.INFO)):
        if line and line not in _said:
            _said.add(line)
            logger.log(level, "%s", line)


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{count} in {name}" for name, count in sorted((+counts).items()))


class LoadedImage(NamedTuple):
    """An image as 8-bit RGB.

    Args:
        pixels (NDArray[np.uint8]): ``(H, W, 3)`` RGB.
        converted (tuple[str, ...]): The conversions made, in words.
        orientation (int): EXIF orientation, 1 to 8, that was not applied; 1: none.
    """

    pixels: NDArray[np.uint8]
    converted: tuple[str, ...]
    orientation: int


def read_image(path: Path, *, white_level: int | None = None) -> NDArray[np.uint8]:
    """Read an image as 8-bit RGB; see :func:`load_image`."""
    return load_image(path, white_level=white_level).pixels


def load_image(path: Path, *, white_level: int | None = None) -> LoadedImage:
    """Read an image as 8-bit RGB and say what was converted for that.

    Grey becomes three equal channels, alpha is dropped, 16 bit is reduced to 8. Pixels are taken as stored: an
    orientation tag is not applied, as in anomalib.

    Args:
        path (Path): File.
        white_level (int | None): Value of files with more than 8 bit that becomes 255; None: 65535.

    Returns:
        LoadedImage: Its pixels, and what there is to say about them.

    Raises:
        DataError: If the file cannot be read as an image, its pixels are neither 8 nor 16 bit, or one of them is above
            the white level.
    """
    stored, orientation, converted = decode_stored(read_bytes(path), path)
    made = list(converted)
    if stored.dtype == np.uint16:
        made.append("16 bit reduced to 8")
        if white_level is not None and int(stored.max()) > white_level:
            msg = f"{path}: a pixel is {int(stored.max())}, above the white level of {white_level}; give a higher one"
            raise DataError(msg)
    if count_colours(stored) == 1:
        made.append("grey repeated in three channels")
    if stored.ndim == 3 and stored.shape[2] in (2, 4):
        made.append("alpha dropped")
    return LoadedImage(repeat_grey(reduce_to_eight_bit(stored, white_level)), tuple(made), orientation)


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"
        raise DataError(msg) from error
