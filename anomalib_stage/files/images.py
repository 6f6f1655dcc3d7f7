# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Finding, reading and writing image files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

__all__ = [
    "PARTIAL",
    "SUFFIXES",
    "as_rgb",
    "digest_pictures",
    "encode_png",
    "find_images",
    "load_image",
    "read_bytes",
    "read_image",
    "read_mask",
    "stored_pixels",
    "to_eight_bit",
    "write_chunks",
    "write_file",
]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""File name endings that count as images, in lower case."""

PNG_LEVEL = 1
"""Compression of PNG files, 0 to 9; 6 saves a tenth and takes four times as long (``docs/measure/png_level.py``)."""

PARTIAL = ".part"
"""Ending of the hidden names that files have while they are written."""


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
    stored, made = stored_pixels(read_bytes(path), path), []
    if stored.dtype == np.uint16:
        made.append("16 bit reduced to 8")
    if stored.ndim == 2:
        made.append("grey repeated in three channels")
    elif stored.shape[2] == 4:
        made.append("alpha dropped")
    return _three_channels(to_eight_bit(stored)), tuple(made)


def stored_pixels(data: bytes, path: Path) -> Pixels:
    """Decode an image and convert nothing but the order of the channels.

    Args:
        data (bytes): Content of the file.
        path (Path): The file, for messages.

    Returns:
        Pixels: ``(H, W)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA; uint8 or uint16.

    Raises:
        DataError: If it is not an image, or its pixels are neither 8 nor 16 bit.
    """
    stored = _decoded(data, path, cv2.IMREAD_UNCHANGED)
    channels = stored.shape[2] if stored.ndim == 3 else 1
    if stored.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        msg = f"{path}: {channels} channels of {stored.dtype}; convert it to 8 or 16 bit grey, RGB or RGBA"
        raise DataError(msg)
    if channels == 1:
        return stored.reshape(stored.shape[:2])
    return np.ascontiguousarray(stored[..., [2, 1, 0, 3][:channels]])


def to_eight_bit(stored: Pixels) -> NDArray[np.uint8]:
    """Reduce 16 bit to the nearest 8-bit values; 8 bit stays as it is."""
    if stored.dtype == np.uint16:
        return np.asarray((stored.astype(np.uint32) + 128) // 257, dtype=np.uint8)  # 65535 / 257 = 255
    return np.asarray(stored, dtype=np.uint8)


def as_rgb(stored: Pixels) -> NDArray[np.float32]:
    """Return ``(H, W, 3)`` float32 in [0, 1], full range of the stored type; grey is repeated, alpha dropped."""
    return _three_channels(stored).astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)


def _three_channels(stored: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(stored[..., None], 3, axis=2) if stored.ndim == 2 else np.ascontiguousarray(stored[..., :3])


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
    mask = _decoded(read_bytes(path), path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) > 127
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


def _decoded(data: bytes, path: Path, flags: int) -> NDArray[Any]:
    with contextlib.suppress(cv2.error):
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags) if data else None
        if pixels is not None:
            return np.asarray(pixels)
    msg = f"{path}: not a readable image; repair or remove it"
    raise DataError(msg)


def encode_png(pixels: Pixels) -> bytes:
    """Encode grey, RGB or RGBA of 8 or 16 bit as PNG; the same pixels give the same bytes."""
    ordered = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.ndim == 3 else pixels
    return bytes(cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])[1].tobytes())


def write_file(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it, so that there is never half a file.

    Raises:
        DataError: If it cannot be written; nothing is left behind.
    """
    write_chunks(path, (data,))


def write_chunks(path: Path, chunks: Iterable[bytes], *, durable: bool = False) -> None:
    """Write a file that need not fit into memory; see :func:`write_file`.

    Args:
        path (Path): File; missing parent folders are made.
        chunks (Iterable[bytes]): Its content.
        durable (bool): Return when the content is on the disk, whatever happens to the machine.

    Raises:
        DataError: If it cannot be written; nothing is left behind.
    """
    # a name of its own: another process may write the same file at the same time
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.writelines(chunks)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if not isinstance(error, OSError):  # an interruption
            raise
        msg = f"{path}: cannot be written ({error.strerror or error}); choose a folder with space that you may write to"
        raise DataError(msg) from error


def digest_pictures(*pictures: NDArray[np.generic]) -> str:
    """Return a digest of pictures or masks, the same wherever and under whatever name their files lie.

    Args:
        pictures (NDArray[np.generic]): Arrays of any shape and dtype; the order counts.

    Returns:
        str: 16 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=8)
    for picture in pictures:
        digest.update(f"{picture.dtype} {picture.shape}".encode())
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()
