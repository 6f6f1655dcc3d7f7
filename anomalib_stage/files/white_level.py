# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The range of images with more than 8 bit: cameras of 10, 12 or 14 bit write files of 16."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.decoding import decode_stored, is_deep_file
from anomalib_stage.files.images import read_bytes
from anomalib_stage.files.pixels import count_colours
from anomalib_stage.files.prefetch import map_in_order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["check_white_level", "find_white_level"]

logger = logging.getLogger(__name__)

DEPTHS = (8, 10, 12, 14, 16)
"""Bits of sensors."""

LARGEST = 65535
READERS = 2


def check_white_level(white_level: int | None) -> None:
    """Refuse a white level that no pixel can have.

    Raises:
        InputError: Says what is allowed.
    """
    if white_level is not None and not 1 <= white_level <= LARGEST:
        msg = f"--white-level is {white_level}; give the largest value that a pixel can have, 1 to {LARGEST}"
        raise InputError(msg)


def find_white_level(paths: Sequence[Path], *, given: int | None = None) -> int | None:
    """Find the largest value that pixels of a set can have, from all of its files with more than 8 bit.

    Args:
        paths (Sequence[Path]): All images of the set.
        given (int | None): The user's word; None: the smallest range of a sensor of 8, 10, 12, 14 or 16 bit that holds
            every value.

    Returns:
        int | None: The value of white; None if no file has more than 8 bit.

    Raises:
        InputError: If the given level is out of range.
        DataError: If a pixel is above the given level; names the file.
    """
    check_white_level(given)
    deep = [path for path in paths if is_deep_file(path)]
    if not deep:
        if given is not None:
            logger.warning(
                "--white-level %d has no effect: none of the %d images is deeper than 8 bit", given, len(paths)
            )
        return None
    most = 0
    for path, largest in zip(deep, map_in_order(_find_largest, deep, threads=READERS, ahead=4), strict=True):
        most = max(most, largest)
        if given is not None and largest > given:
            msg = f"{path}: a pixel is {largest}, above the white level of {given}; give a higher one, or none"
            raise DataError(msg)
    white = given or next(2**bits - 1 for bits in DEPTHS if most < 2**bits)
    how = "as given" if given else f"the range of a sensor that holds their largest value, {most}"
    logger.info("%d images are deeper than 8 bit: white is %d, %s", len(deep), white, how)
    return white


def _find_largest(path: Path) -> int:
    """Return the largest value of a file; 0 for one that cannot be read, which is said when it is used."""
    try:
        pixels = decode_stored(read_bytes(path), path).pixels
        return int((pixels if pixels.ndim == 2 else pixels[..., : count_colours(pixels)]).max())
    except DataError:
        return 0
