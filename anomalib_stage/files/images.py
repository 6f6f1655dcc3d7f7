# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Finding and reading images and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.errors import DataError
from anomalib_stage.files.pixels import decode, decode_stored, reduce_to_eight_bit, repeat_grey

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "find_images", "load_image", "read_bytes", "read_image", "read_mask"]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""File name endings that count as images, in lower case."""


def find_images(folder: Path) -> list[Path]:
    """Return every image below a folder, sorted by path; files whose name begins with a dot are not images.

    Args:
        folder (Path): Folder, searched recursively.

    Returns:
        list[Path]: At least one path.

    Raises:
        DataError: If the folder is missing or holds no image.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; give a folder of images"
        raise DataError(msg)
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        msg = f"{folder}: no image in it (looked recursively for {', '.join(SUFFIXES)})"
        raise DataError(msg)
    return found


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as 8-bit RGB; see :func:`load_image`."""
    return load_image(path)[0]


def load_image(path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read an image as 8-bit RGB and say what was converted for that.

    Grey becomes three equal channels, alpha is dropped, 16 bit is reduced to 8. Pixels are taken as stored: an
    orientation tag is not applied, as in anomalib.

    Args:
        path (Path): File.

    Returns:
        tuple[NDArray[np.uint8], tuple[str, ...]]: ``(H, W, 3)`` RGB, and the conversions made, in words.

    Raises:
        DataError: If the file cannot be read as an image, or its pixels are neither 8 nor 16 bit.
    """
    stored, made = decode_stored(read_bytes(path), path), []
    if stored.dtype == np.uint16:
        made.append("16 bit reduced to 8")
    if stored.ndim == 2:
        made.append("grey repeated in three channels")
    elif stored.shape[2] == 4:
        made.append("alpha dropped")
    return repeat_grey(reduce_to_eight_bit(stored)), tuple(made)


def read_mask(path: Path, *, size: tuple[int, int], image: Path) -> NDArray[np.bool_]:
    """Read a mask: pixels above half of the range are the anomaly.

    Args:
        path (Path): File.
        size (tuple[int, int]): Height and width that it must have.
        image (Path): Image that it belongs to, for the message.

    Returns:
        NDArray[np.bool_]: ``size``, not empty.

    Raises:
        DataError: If the file cannot be read, is empty or has another size.
    """
    mask = decode(read_bytes(path), path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) > 127
    if mask.shape != tuple(size):
        seen, wanted = f"{mask.shape[1]}x{mask.shape[0]}", f"{size[1]}x{size[0]}"
        msg = f"{path}: mask is {seen} px, but its image {image} is {wanted} px; masks must have the image's size"
        raise DataError(msg)
    if not mask.any():
        msg = f"{path}: mask is empty; remove it, or mark at least one pixel with 255"
        raise DataError(msg)
    return np.asarray(mask, dtype=np.bool_)


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
