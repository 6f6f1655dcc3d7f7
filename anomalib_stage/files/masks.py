# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The one reader of masks: what anomalib reads as anomalous is anomalous.

anomalib's reader is ``PIL.Image.open(path).convert("L") > 0``
(https://github.com/open-edge-platform/anomalib/blob/main/src/anomalib/data/utils/image.py). Annotation tools also
write colours and class numbers, some so dark that the conversion to grey rounds them to 0; they count here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from anomalib_stage.errors import DataError
from anomalib_stage.files.decoding import open_picture, read_orientation
from anomalib_stage.files.images import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MaskFile", "explain_turn", "load_mask", "read_mask"]

LOSSY = ("JPEG", "MPO", "WEBP")
"""Formats that leave traces of compression around a mask."""

LOSSY_CUT = 0.25
"""Share of the brightest level up to which values in lossy files are such traces."""

MOST_LEVELS = 8
"""Most levels of a mask that are told."""

MUST = "masks must have the image's size"

SWAPS_SIDES = 5
"""EXIF orientations from here on turn a picture by a quarter."""


class MaskFile(NamedTuple):
    """A mask as its file has it.

    Args:
        pixels (NDArray[np.bool_]): ``(H, W)``, True where marked.
        levels (tuple[int, ...]): Different values of marked pixels, ascending, at most 8; of colours the brightest
            channel.
    """

    pixels: NDArray[np.bool_]
    levels: tuple[int, ...]


def read_mask(path: Path, *, size: tuple[int, int], image: Path) -> NDArray[np.bool_]:
    """Read a mask; see :func:`load_mask`."""
    return load_mask(path, size=size, image=image).pixels


def load_mask(path: Path, *, size: tuple[int, int] | None = None, image: Path | None = None) -> MaskFile:
    """Read a mask: a pixel with any channel above 0 is marked, whatever its level; alpha says nothing.

    In lossy files (JPEG, WebP) values up to a quarter of the brightest are traces of compression.

    Args:
        path (Path): File, in any format that anomalib reads.
        size (tuple[int, int] | None): Height and width that it must have; None: any.
        image (Path | None): Image that it belongs to, for the message.

    Returns:
        MaskFile: Not empty.

    Raises:
        DataError: If the file cannot be read, is empty or has another size than its image.
    """
    with open_picture(read_bytes(path), path) as picture:
        values = _read_values(picture, path)
        lossy, palette = picture.format in LOSSY, picture.mode in ("P", "PA")
    if size is not None and values.shape != tuple(size):
        raise DataError(_explain_size(path, values.shape, size, image))
    brightest = values.max(initial=0)
    marked = np.asarray(values > (brightest * LOSSY_CUT if lossy else 0))
    if not marked.any():
        why = "its palette paints every index black" if palette else "every pixel is 0"
        msg = f"{path}: mask is empty; remove it, or mark at least one pixel with 255 ({why})"
        raise DataError(msg)
    return MaskFile(marked, tuple(int(level) for level in np.unique(values[marked])[:MOST_LEVELS]))


def _read_values(picture: Image.Image, path: Path) -> NDArray[Any]:
    """Return the brightest channel of each pixel, ``(H, W)``, at the depth of the file."""
    if picture.mode in ("1", "L") or picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            msg = f"{path}: mask has values that are no numbers; write it with 0 and 255"
            raise DataError(msg)
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    if picture.mode in ("LA", "La"):
        return np.asarray(picture.convert("LA"))[..., 0]
    try:
        return np.asarray(np.asarray(picture.convert("RGB")).max(axis=2))
    except ValueError as error:
        msg = f"{path}: mask has pixels of kind {picture.mode}, which anomalib does not read; write it in grey, 8 bit"
        raise DataError(msg) from error


def _explain_size(path: Path, seen: tuple[int, ...], wanted: tuple[int, int], image: Path | None) -> str:
    sizes = f"{seen[1]}x{seen[0]} px, but its image {image} is {wanted[1]}x{wanted[0]} px"
    turned = explain_turn(image, seen, wanted) if image is not None else ""
    return f"{path}: mask is {sizes}; {turned or MUST}"


def explain_turn(image: Path, seen: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say what EXIF has to do with a mask of another size than its image.

    Args:
        image (Path): The image.
        seen (tuple[int, ...]): Height and width of the mask.
        wanted (tuple[int, ...]): Those of the image.

    Returns:
        str: The reason and the cure; empty unless the mask fits the image as its EXIF orientation turns it.
    """
    if tuple(seen) != tuple(wanted)[::-1]:
        return ""
    with open_picture(read_bytes(image), image) as picture:
        orientation = read_orientation(picture)
    if orientation < SWAPS_SIDES:
        return ""
    return (
        f"an EXIF orientation tag ({orientation}) tells viewers to turn the picture, and the mask fits only the turned "
        "one; anomalib does not turn it. Save the pictures turned, without the tag (PIL.ImageOps.exif_transpose, "
        "'mogrify -auto-orient'), or draw the masks on them as stored"
    )
