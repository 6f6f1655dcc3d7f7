# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of images as anomalib reads them: 8 bit by Pillow, as its reader does; deeper files keep their values.

anomalib's reader is ``PIL.Image.open(path).convert("RGB")``
(https://github.com/open-edge-platform/anomalib/blob/main/src/anomalib/data/utils/image.py). Where OpenCV and Pillow
decode the same file differently (alpha of TIFF, grey with alpha, JPEG), Pillow is therefore right. Files of more than
8 bit, which that reader would clip or cut, are taken as they are stored.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib_stage.files.pixels import Pixels

__all__ = ["UPRIGHT", "Stored", "decode_stored", "is_deep_file", "open_picture", "read_orientation"]

ORIENTATION_TAG = 0x0112
"""EXIF tag that says how a viewer turns the picture."""

UPRIGHT = 1
"""Its value for pictures that are not turned."""

PNG_DEPTH, PNG_COLOUR, PNG_GREY_ALPHA = 24, 25, 4
"""Bytes of a PNG file with the bit depth and the type of colour, and the type that is grey with alpha."""

TIFF_BITS = 258
"""TIFF tag with the bits of each channel."""

DEEP_SUFFIXES = (".pgm", ".png", ".ppm", ".tif", ".tiff")
"""Endings of files that may have more than 8 bit a channel."""

HEADER = 4096
"""Bytes of a file that hold the depth of PNG, PGM and PPM."""

DAMAGED = (
    *(OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, AttributeError),
    *(OverflowError, ZeroDivisionError, struct.error, Image.DecompressionBombError),
)
"""What Pillow raises for files that it cannot read."""

KEPT = ("L", "LA", "RGB", "RGBA")
"""Modes of Pillow whose channels are kept; all others become RGB, as in anomalib, or grey if they have one bit."""


class Stored(NamedTuple):
    """An image as its file has it.

    Args:
        pixels (Pixels): ``(H, W)`` grey, ``(H, W, 2)`` grey with alpha, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA; uint8,
            or uint16 with the stored values.
        orientation (int): EXIF orientation, 1 to 8, that was not applied; 1: none.
        converted (tuple[str, ...]): What was converted, in words.
    """

    pixels: Pixels
    orientation: int = UPRIGHT
    converted: tuple[str, ...] = ()


def decode_stored(data: bytes, path: Path) -> Stored:
    """Decode an image; outside of what is painted, anomalib's reader sees the same pixels in this and in the file.

    Args:
        data (bytes): Content of the file.
        path (Path): The file, for messages.

    Returns:
        Stored: Its pixels and what there is to say about them.

    Raises:
        DataError: If it is not an image, or of a kind that cannot be kept or that anomalib does not read.
    """
    with open_picture(data, path) as picture:
        orientation, pages = read_orientation(picture), getattr(picture, "n_frames", 1)
        converted: tuple[str, ...] = (f"first of {pages} pages read",) if pages > 1 else ()
        if _is_deep(picture, data[:HEADER]):
            return Stored(_decode_deep(picture, data, path), orientation, converted)
        kept = picture.mode in KEPT
        mode = picture.mode if kept else "L" if picture.mode == "1" else "RGB"
        try:
            pixels = np.array(picture if kept else picture.convert(mode))
        except ValueError as error:
            msg = f"{path}: pixels of kind {picture.mode}, which anomalib does not read; convert it to 8-bit RGB"
            raise DataError(msg) from error
        converted += () if kept else (f"{picture.mode} converted to {mode}",)
    return Stored(pixels, orientation, converted)


@contextlib.contextmanager
def open_picture(data: bytes, path: Path):  # type: ignore[no-untyped-def] # noqa: ANN201 - Iterator[Image.Image]
    """Open an image and load its pixels, in a ``with`` block.

    Raises:
        DataError: If it is not an image, or damaged; names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata
            picture = Image.open(io.BytesIO(data))
            picture.load()
    except DAMAGED as error:
        msg = f"{path}: not a readable image; repair or remove it"
        raise DataError(msg) from error
    with picture:
        yield picture


def read_orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 where there is none that anybody would obey."""
    try:
        found = picture.getexif().get(ORIENTATION_TAG, UPRIGHT)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError):  # damaged metadata turn nothing
        return UPRIGHT
    return found if isinstance(found, int) and UPRIGHT <= found <= 8 else UPRIGHT


def is_deep_file(path: Path) -> bool:
    """Tell from a file's header whether it has more than 8 bit a channel; False if it cannot be read."""
    if path.suffix.lower() not in DEEP_SUFFIXES:
        return False
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = stream.read(HEADER)
            stream.seek(0)
            with Image.open(stream) as picture:
                return _is_deep(picture, header)
    except DAMAGED:
        return False


def _is_deep(picture: Image.Image, header: bytes) -> bool:
    """Tell whether the file has more than 8 bit a channel, whatever Pillow makes of them."""
    if picture.mode.startswith(("I", "F")):
        return True
    if picture.format == "PNG":
        return header[PNG_DEPTH] > 8
    if picture.format == "TIFF":
        return bool(max(picture.tag_v2.get(TIFF_BITS, (8,))) > 8)  # type: ignore[attr-defined]
    return picture.format == "PPM" and _read_most(header) > 255


def _read_most(header: bytes) -> int:
    """Return the largest value that a PGM or PPM file may have, from its header; 255 for what has none there."""
    words = re.sub(rb"#[^\n]*", b" ", header).split(maxsplit=4)
    most = words[3] if len(words) > 3 and words[0] in (b"P2", b"P3", b"P5", b"P6") else b""
    return int(most) if most.isdigit() else 255


def _decode_deep(picture: Image.Image, data: bytes, path: Path) -> Pixels:
    if picture.mode.startswith("I;16"):  # OpenCV shifts packed 12 bit
        return np.array(picture, dtype=np.uint16)
    stored = None
    with contextlib.suppress(cv2.error):
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    channels = 0 if stored is None else stored.shape[2] if stored.ndim == 3 else 1
    grey_alpha = picture.format == "PNG" and data[PNG_COLOUR] == PNG_GREY_ALPHA
    if stored is None or stored.dtype != np.uint16 or channels not in (1, 3, 4) or grey_alpha:
        seen = "grey with alpha of 16 bit" if grey_alpha else f"{channels} channels of {getattr(stored, 'dtype', '?')}"
        msg = f"{path}: {seen}; convert it to 8 or 16 bit grey, RGB or RGBA"
        raise DataError(msg)
    if channels == 1:
        return np.asarray(stored.reshape(stored.shape[:2]), dtype=np.uint16)
    return np.ascontiguousarray(stored[..., [2, 1, 0, 3][:channels]], dtype=np.uint16)
