# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels as files hold them: decoded as stored, converted for those who want 8-bit RGB, encoded, digested."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
    """``(H, W)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA."""

__all__ = [
    "convert_to_rgb",
    "decode",
    "decode_stored",
    "digest_pictures",
    "encode_png",
    "reduce_to_eight_bit",
    "repeat_grey",
]

PNG_LEVEL = 1
"""Compression of PNG files, 0 to 9; 6 saves a tenth and takes four times as long (``docs/measure/png_level.py``)."""


def decode_stored(data: bytes, path: Path) -> Pixels:
    """Decode an image and convert nothing but the order of the channels.

    Args:
        data (bytes): Content of the file.
        path (Path): The file, for messages.

    Returns:
        Pixels: ``(H, W)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA; uint8 or uint16.

    Raises:
        DataError: If it is not an image, or its pixels are neither 8 nor 16 bit.
    """
    stored = decode(data, path, cv2.IMREAD_UNCHANGED)
    channels = stored.shape[2] if stored.ndim == 3 else 1
    if stored.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        msg = f"{path}: {channels} channels of {stored.dtype}; convert it to 8 or 16 bit grey, RGB or RGBA"
        raise DataError(msg)
    if channels == 1:
        return stored.reshape(stored.shape[:2])
    return np.ascontiguousarray(stored[..., [2, 1, 0, 3][:channels]])


def decode(data: bytes, path: Path, flags: int) -> NDArray[Any]:
    """Decode an image with OpenCV's flags, in its order of the channels.

    Raises:
        DataError: If it is not an image.
    """
    with contextlib.suppress(cv2.error):
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags) if data else None
        if pixels is not None:
            return np.asarray(pixels)
    msg = f"{path}: not a readable image; repair or remove it"
    raise DataError(msg)


def reduce_to_eight_bit(stored: Pixels) -> NDArray[np.uint8]:
    """Reduce 16 bit to the nearest 8-bit values; 8 bit stays as it is."""
    if stored.dtype == np.uint16:
        return np.asarray((stored.astype(np.uint32) + 128) // 257, dtype=np.uint8)  # 65535 / 257 = 255
    return np.asarray(stored, dtype=np.uint8)


def convert_to_rgb(stored: Pixels) -> NDArray[np.float32]:
    """Return ``(H, W, 3)`` float32 in [0, 1], full range of the stored type; grey is repeated, alpha dropped."""
    return repeat_grey(stored).astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)


def repeat_grey(stored: NDArray[Any]) -> NDArray[Any]:
    """Return ``(H, W, 3)``: grey is repeated, alpha dropped."""
    return np.repeat(stored[..., None], 3, axis=2) if stored.ndim == 2 else np.ascontiguousarray(stored[..., :3])


def encode_png(pixels: Pixels) -> bytes:
    """Encode grey, RGB or RGBA of 8 or 16 bit as PNG; the same pixels give the same bytes."""
    ordered = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.ndim == 3 else pixels
    return bytes(cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])[1].tobytes())


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
