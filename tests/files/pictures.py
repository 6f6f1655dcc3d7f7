# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Small pictures in every format that users have, as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["DEEP", "EIGHT_BIT", "draw_surface", "write_picture"]

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".webp": "WEBP", ".pgm": "PPM", ".ppm": "PPM"}
"""What Pillow calls them."""

LEVELS_12, LEVELS_10 = 16, 4
"""Factors from 8 bit to 12 and 10."""


def draw_surface(seed: int, side: int = 64) -> np.ndarray:
    """Draw a smooth surface with grain, ``(side, side, 3)`` uint8."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 12, (side, side, 3))
    shade = np.linspace(-30, 30, side)[:, None, None] + np.linspace(-10, 10, side)[None, :, None]
    return np.clip(130 + shade + grain, 0, 255).astype(np.uint8)


def _pillow(mode: str, suffix: str, **options: Any) -> Callable[[np.ndarray], tuple[str, bytes]]:
    def write(surface: np.ndarray) -> tuple[str, bytes]:
        stream = io.BytesIO()
        picture = Image.fromarray(surface)
        if mode in ("LA", "RGBA"):
            picture.putalpha(Image.fromarray(surface[..., 0][:, ::-1].copy()))
        picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
        picture.save(stream, FORMATS[suffix], **options)
        return suffix, stream.getvalue()

    return write


def _tiff(channels: Callable[[np.ndarray], np.ndarray], **options: Any) -> Callable[[np.ndarray], tuple[str, bytes]]:
    def write(surface: np.ndarray) -> tuple[str, bytes]:
        stream = io.BytesIO()
        tifffile.imwrite(stream, channels(surface), **options)
        return ".tif", stream.getvalue()

    return write


def _grey(surface: np.ndarray) -> np.ndarray:
    return np.asarray(surface[..., 1], dtype=np.uint16)


def _with_alpha(surface: np.ndarray) -> np.ndarray:
    return np.dstack([surface, surface[..., 0][:, ::-1]])


def _exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def _pgm(most: int, factor: int) -> Callable[[np.ndarray], tuple[str, bytes]]:
    def write(surface: np.ndarray) -> tuple[str, bytes]:
        grey = _grey(surface) * factor
        head = f"P5\n# a camera\n{grey.shape[1]} {grey.shape[0]}\n{most}\n".encode()
        return ".pgm", head + grey.astype(">u2").tobytes()

    return write


RGB = {"photometric": "rgb"}
EIGHT_BIT: dict[str, Callable[[np.ndarray], tuple[str, bytes]]] = {
    "PNG grey": _pillow("L", ".png"),
    "PNG RGB": _pillow("RGB", ".png"),
    "PNG RGBA": _pillow("RGBA", ".png"),
    "PNG grey + alpha": _pillow("LA", ".png"),
    "PNG 1 bit": _pillow("1", ".png"),
    "PNG palette": _pillow("P", ".png"),
    "JPEG": _pillow("RGB", ".jpg", quality=80),
    "JPEG grey": _pillow("L", ".jpg", quality=80),
    "JPEG CMYK": _pillow("CMYK", ".jpg", quality=80),
    "JPEG EXIF": _pillow("RGB", ".jpg", quality=80, exif=_exif(6)),
    "TIFF grey": _tiff(lambda surface: surface[..., 1].copy()),
    "TIFF RGB": _tiff(lambda surface: surface, **RGB),
    "TIFF RGBA": _tiff(_with_alpha, extrasamples=["unassalpha"], **RGB),
    "TIFF RGBA premultiplied": _tiff(_with_alpha, extrasamples=["assocalpha"], **RGB),
    "TIFF multi-page": _tiff(lambda surface: np.stack([surface, surface[::-1]]), **RGB),
    "BMP": _pillow("RGB", ".bmp"),
    "WebP": _pillow("RGB", ".webp", quality=80),
    "PGM": _pillow("L", ".pgm"),
    "PPM": _pillow("RGB", ".ppm"),
}
"""Name of a format to what writes a surface in it: the file's ending and content. At most 8 bit a channel."""

DEEP: dict[str, Callable[[np.ndarray], tuple[str, bytes]]] = {
    "PNG 16 bit grey": lambda surface: (".png", _png16(_grey(surface) * 257)),
    "PNG 16 bit RGB": lambda surface: (".png", _png16(surface.astype(np.uint16) * 257)),
    "TIFF 16 bit grey": _tiff(lambda surface: _grey(surface) * 257),
    "TIFF 16 bit RGB": _tiff(lambda surface: surface.astype(np.uint16) * 257, **RGB),
    "TIFF 16 bit RGBA": _tiff(
        lambda surface: _with_alpha(surface).astype(np.uint16) * 257, extrasamples=["unassalpha"], **RGB
    ),
    "TIFF 12 bit in 16": _tiff(lambda surface: _grey(surface) * LEVELS_12),
    "TIFF 12 bit RGB in 16": _tiff(lambda surface: surface.astype(np.uint16) * LEVELS_12, **RGB),
    "TIFF 10 bit in 16": _tiff(lambda surface: _grey(surface) * LEVELS_10),
    "PGM 12 bit": _pgm(4095, LEVELS_12),
}
"""The same for more than 8 bit a channel."""


def _png16(pixels: np.ndarray) -> bytes:
    from anomalib_stage.files.pixels import encode_png

    return encode_png(pixels)


def write_picture(path: Path, kind: str, surface: np.ndarray) -> Path:
    """Write a surface in a format; the ending of the format is put to the path."""
    suffix, content = (EIGHT_BIT | DEEP)[kind](surface)
    path = path.with_name(path.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
