# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels as files hold them: converted for those who want 8-bit RGB, encoded, digested."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
    """``(H, W)`` grey, ``(H, W, 2)`` grey with alpha, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA."""

__all__ = [
    "convert_to_rgb",
    "count_colours",
    "digest_pictures",
    "encode_png",
    "reduce_to_eight_bit",
    "repeat_grey",
]

PNG_LEVEL = 1
"""Compression of PNG files, 0 to 9; 6 saves a tenth and takes four times as long (``docs/measure/png_level.py``)."""


def reduce_to_eight_bit(stored: Pixels, white_level: int | None = None) -> NDArray[np.uint8]:
    """Reduce deeper pixels to the nearest 8-bit values; 8 bit stays as it is.

    Args:
        stored (Pixels): As decoded.
        white_level (int | None): Value that becomes 255, at least the largest there is; None: the largest of the type.
    """
    if stored.dtype == np.uint8:
        return np.asarray(stored, dtype=np.uint8)
    white = white_level or int(np.iinfo(stored.dtype).max)
    return np.asarray((stored.astype(np.uint32) * 255 + white // 2) // white, dtype=np.uint8)


def convert_to_rgb(stored: Pixels, white_level: int | None = None) -> NDArray[np.float32]:
    """Return ``(H, W, 3)`` float32 in [0, 1]; grey is repeated, alpha dropped.

    Args:
        stored (Pixels): As decoded.
        white_level (int | None): Value of deeper pixels that becomes 1; None: the largest of the type.
    """
    white = np.iinfo(stored.dtype).max if stored.dtype == np.uint8 or white_level is None else white_level
    return repeat_grey(stored).astype(np.float32) / np.float32(white)


def count_colours(stored: NDArray[Any]) -> int:
    """Return how many channels are colour and not alpha: 1 for grey, 3 for RGB."""
    return 3 if stored.ndim == 3 and stored.shape[2] >= 3 else 1


def repeat_grey(stored: NDArray[Any]) -> NDArray[Any]:
    """Return ``(H, W, 3)``: grey is repeated, alpha dropped."""
    if count_colours(stored) == 3:
        return np.ascontiguousarray(stored[..., :3])
    return np.repeat(stored.reshape(*stored.shape[:2], -1)[..., :1], 3, axis=2)


def encode_png(pixels: Pixels) -> bytes:
    """Encode grey, RGB or RGBA of 8 or 16 bit, or grey with alpha of 8 bit, as PNG; same pixels give same bytes."""
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # OpenCV has no grey with alpha
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", compress_level=PNG_LEVEL)
        return stream.getvalue()
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
