# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The good images of a pregeneration: found, read once, and refused before anything is painted."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.decoding import UPRIGHT, decode_stored
from anomalib_stage.files.good_folder import check_no_masks, is_two_valued
from anomalib_stage.files.image_reader import say_turned
from anomalib_stage.files.images import read_bytes
from anomalib_stage.files.prefetch import map_in_order
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Source", "check_outside", "check_size", "find_sources"]

logger = logging.getLogger(__name__)

LONGEST_STEM = 200
"""Bytes of a file name without its suffix; file systems hold 255, and the pair's files get a number and a suffix."""

CONTROLS = frozenset(map(chr, [*range(32), 127]))
"""Characters that would break a line."""

READERS = 2
"""Threads that check sources."""


@dataclass(frozen=True)
class Source:
    """A good image that was read once and can be painted.

    Args:
        path (Path): File.
        name (str): Path relative to the folder of good images, with forward slashes.
        size (tuple[int, int]): Height and width in pixels.
        digest (str): SHA-256 of the file.
        deep (bool): Its pixels have more than 8 bit.
        orientation (int): EXIF orientation, which is not applied.
        two_valued (bool): It is black and one other level only, as masks are.
    """

    path: Path
    name: str
    size: tuple[int, int]
    digest: str
    deep: bool = False
    orientation: int = UPRIGHT
    two_valued: bool = False


def check_outside(folder: Path, *, root: Path, flag: str) -> None:
    """Refuse a folder below the good images: what is in it would be taken for good images.

    Raises:
        InputError: If ``folder`` is ``root`` or below it.
    """
    if folder.resolve().is_relative_to(root.resolve()):
        msg = f"{flag} {folder} lies inside the folder of good images {root}; choose a folder outside it"
        raise InputError(msg)


def check_size(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse an image too small to paint.

    Raises:
        DataError: If a side is shorter than 32 px.
    """
    height, width = shape[:2]
    if min(height, width) < MIN_IMAGE_SIDE:
        msg = f"{path}: {width}x{height} px; at least {MIN_IMAGE_SIDE} px a side are needed, remove it"
        raise DataError(msg)


def find_sources(paths: Sequence[Path], *, root: Path, limit: int, skip: bool) -> tuple[list[Source], int]:
    """Read good images in sorted order until there are enough, so that nothing is painted before all can be read.

    Args:
        paths (Sequence[Path]): All images of the folder, sorted.
        root (Path): Folder of good images.
        limit (int): Most images needed.
        skip (bool): Leave out images that cannot be used, with a warning; False: refuse the first one.

    Returns:
        tuple[list[Source], int]: At least one image, and how many were left out.

    Raises:
        DataError: If the folder holds no usable image, or, without ``skip``, an image cannot be used; names it. If some
            of the images are masks.
    """
    sources: list[Source] = []
    skipped = 0
    for found in map_in_order(partial(_read_source, root=root), paths, threads=READERS, ahead=2 * READERS):
        if isinstance(found, Source):
            sources.append(found)
        elif skip:
            skipped += 1
            logger.warning("skipped: %s", found)
        else:
            raise found
        if len(sources) == limit:
            break
    if not sources:
        msg = f"{root}: none of its {skipped} images can be used; the messages above say why"
        raise DataError(msg)
    two_valued = [source.path for source in sources if source.two_valued]
    check_no_masks(two_valued, count=len(sources), root=root, flag="--data")
    say_turned([source.path for source in sources if source.orientation != UPRIGHT], count=len(sources))
    return sources, skipped


def _read_source(path: Path, *, root: Path) -> Source | DataError:
    try:
        name, data = _check_name(path, root), read_bytes(path)
        pixels, orientation, _ = decode_stored(data, path)
        check_size(path, pixels.shape)
    except DataError as error:
        return error
    size = (pixels.shape[0], pixels.shape[1])
    return Source(
        path,
        name,
        size,
        hashlib.sha256(data).hexdigest(),
        deep=pixels.dtype == np.uint16,
        orientation=orientation,
        two_valued=is_two_valued(pixels),
    )


def _check_name(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        stem = path.stem.encode()
        name.encode()
    except UnicodeEncodeError as error:  # neither a seed nor the manifest could hold it
        msg = f"{root}: the file name {name!a} is not UTF-8; rename the file"
        raise DataError(msg) from error
    if len(stem) > LONGEST_STEM or set(name) & CONTROLS:  # nor a file system the pair's files, nor SHA256SUMS a line
        msg = f"{root}: the file name {name!a} is longer than {LONGEST_STEM} bytes or has control characters; rename it"
        raise DataError(msg)
    return name
