# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Image files that anomalib opens without a word and reads wrongly.

Its reader, ``PIL.Image.open(path).convert("RGB")``, clips 16-bit grey at 255, which makes it white, clips float, and
keeps the high byte of 16-bit colour, which makes a 10- or 12-bit sensor nearly black.
"""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from PIL import Image

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CURE", "WHITE", "check_data_module", "check_readable"]

WHITE = "16-bit grey, which anomalib reads as white"
FLOAT = "floating point, which anomalib clips to whole levels from 0 to 255"
DARK = "16-bit colour of a sensor with fewer bits, which anomalib reads as nearly black"
CURE = "convert it to 8 bit with the range of the sensor, before pregenerating from it too"

LOOKS = 8
"""Files of 16-bit colour, spread over the set, whose pixels are looked at."""

BRIGHT = 65535 / 4
"""What no value of a sensor of up to 14 bits exceeds in a file of 16."""

READERS = 8
"""Threads that read headers: files on a network have to be waited for."""

PNG = b"\x89PNG\r\n\x1a\n"
TIFF = {b"II*\0": "<", b"MM\0*": ">"}
"""Beginning of a TIFF file to the order of its bytes."""

BITS_PER_SAMPLE = 258  # tag of TIFF


def check_readable(paths: Iterable[str | Path]) -> None:
    """Refuse files that anomalib would read as something else than they are; reads little more than headers.

    Files that are missing, damaged or no images are passed over: whoever reads them says so.

    Args:
        paths (Iterable[str | Path]): Image files.

    Raises:
        DataError: Names the first such file, how many there are, why, and what to do.
    """
    files = [Path(path) for path in paths]
    with ThreadPoolExecutor(READERS) as pool:
        kinds = list(pool.map(_find_kind, files, chunksize=64))
    colour = [file for file, kind in zip(files, kinds, strict=True) if kind == DARK]
    if not _are_dark(colour):
        kinds = [None if kind == DARK else kind for kind in kinds]
    wrong = [(file, kind) for file, kind in zip(files, kinds, strict=True) if kind is not None]
    if not wrong:
        return
    file, kind = wrong[0]
    same = sum(other == kind for _, other in wrong) - 1
    more = f" (and so are {same} more of the {len(files)} files)" if same else ""
    msg = f"{file}: {kind}{more}; {CURE}"
    raise DataError(msg)


def check_data_module(module: object) -> bool:
    """Check the files that a data module trains on and validates with, where anomalib's own code reads them.

    Args:
        module (object): anomalib's data module, any other, or None.

    Returns:
        bool: Whether the images to train on are known to be readable; False: their reader is not anomalib's.

    Raises:
        DataError: As :func:`check_readable`.
    """
    data = [getattr(module, name, None) for name in ("train_data", "val_data")]
    listed = [_list_files(one) for one in data]
    for files in listed:
        check_readable(files or ())
    return listed[0] is not None


def _list_files(data: Any) -> Sequence[str] | None:  # noqa: ANN401 - a data set of any kind
    """Return the files of a data set that anomalib's own code reads; None for any other."""
    samples, reader = getattr(data, "samples", None), getattr(type(data), "__getitem__", None)
    if samples is None or not (reader is None or str(reader.__module__).startswith("anomalib.")):
        return None
    return [str(path) for path in samples["image_path"]]


def _find_kind(path: Path) -> str | None:
    """Return what may be wrong with a file, by its header: one of the three sentences, None for nothing."""
    try:
        with path.open("rb") as file:
            start = file.read(26)
            if start.startswith((b"\xff\xd8", b"BM")) or _is_shallow_tiff(file, start):  # JPEG and BMP: 8 bit
                return None
        if start.startswith(PNG) and len(start) == 26:  # depth and type of colour stand at a fixed place
            deep, grey = start[24] == 16, start[25] == 0
            return (WHITE if grey else DARK) if deep else None
        with Image.open(path) as picture:
            return _judge(picture)
    except (OSError, ValueError, SyntaxError, struct.error):
        return None


def _is_shallow_tiff(file: BinaryIO, start: bytes) -> bool:
    """Say whether a file is a TIFF of at most 8 bits a channel, ten times as fast as Pillow; not sure is False."""
    order = TIFF.get(start[:4])
    if order is None:
        return False
    file.seek(struct.unpack(order + "I", start[4:8])[0])
    (count,) = struct.unpack(order + "H", file.read(2))
    for tag, kind, length, value in struct.iter_unpack(order + "HHI4s", file.read(12 * count)):
        if tag == BITS_PER_SAMPLE and kind == 3:  # two-byte integers, here if there are no more than two
            if length > 2:
                file.seek(struct.unpack(order + "I", value)[0])
                value = file.read(2 * length)
            return bool(max(struct.unpack_from(f"{order}{length}H", value)) <= 8)
    return False


def _judge(picture: Image.Image) -> str | None:
    if picture.mode.startswith("I"):
        return WHITE
    if picture.mode.startswith("F"):
        return FLOAT
    bits = getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
    return DARK if max(np.atleast_1d(bits)) > 8 else None


def _are_dark(files: Sequence[Path]) -> bool:
    """Say whether files of 16-bit colour are those of a sensor with fewer bits: none of some has a bright value."""
    chosen = [files[i] for i in sorted({round(i) for i in np.linspace(0, len(files) - 1, LOOKS)})] if files else []
    highest = [int(pixels[..., :3].max()) for pixels in map(_read_stored, chosen) if pixels is not None]
    return bool(highest) and max(highest) <= BRIGHT


def _read_stored(path: Path) -> np.ndarray | None:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    return None if pixels is None or pixels.dtype != np.uint16 else pixels
