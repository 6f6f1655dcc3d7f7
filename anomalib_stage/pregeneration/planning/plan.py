# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a pregeneration: which image gets which defect with which seed, settled before anything is painted."""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.images import find_images, load_image, read_bytes, read_mask
from anomalib_stage.files.pixels import decode_stored
from anomalib_stage.files.prefetch import in_order
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Item", "Plan", "Source", "check_masks", "check_outside", "find_sources", "images_root", "load_good"]

logger = logging.getLogger(__name__)

BATCH_PIXELS = 32 * 512 * 512
"""Most pixels in a batch: 32 images of 512 px a side, fewer of larger ones, so that these do not exhaust memory."""

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
        deep (bool): Its pixels have 16 bit.
    """

    path: Path
    name: str
    size: tuple[int, int]
    digest: str
    deep: bool = False


@dataclass(frozen=True)
class Item:
    """One pair of the plan.

    Args:
        index (int): Position in the plan.
        source (Source): Good image.
        mask (Path | None): Mask given by the user; None: drawn.
        defect (str): Defect.
        seed (int): Seed of the pair.
        name (str): File name without suffix, unique in the plan, and sorted like the first million.
    """

    index: int
    source: Source
    mask: Path | None
    defect: str
    seed: int
    name: str


def images_root(data: Path) -> Path:
    """Return the folder of good images: ``train/good`` of a data set root, or the folder itself."""
    inside = data / "train" / "good"
    return inside if inside.is_dir() else data


def check_outside(folder: Path, *, root: Path, flag: str) -> None:
    """Refuse a folder below the good images: what is in it would be taken for good images.

    Raises:
        InputError: If ``folder`` is ``root`` or below it.
    """
    if folder.resolve().is_relative_to(root.resolve()):
        msg = f"{flag} {folder} lies inside the folder of good images {root}; choose a folder outside it"
        raise InputError(msg)


def load_good(path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read a good image (see :func:`~anomalib_stage.files.images.load_image`) and refuse one too small to paint.

    Raises:
        DataError: If it cannot be read or a side is shorter than 32 px.
    """
    pixels, conversions = load_image(path)
    _check_size(path, pixels.shape)
    return pixels, conversions


def _check_size(path: Path, shape: tuple[int, ...]) -> None:
    height, width = shape[:2]
    if min(height, width) < MIN_IMAGE_SIDE:
        msg = f"{path}: {width}x{height} px; at least {MIN_IMAGE_SIDE} px a side are needed, remove it"
        raise DataError(msg)


def find_sources(root: Path, *, limit: int, skip: bool) -> tuple[list[Source], int]:
    """Read good images in sorted order until there are enough, so that nothing is painted before all can be read.

    Args:
        root (Path): Folder of good images, searched recursively.
        limit (int): Most images needed.
        skip (bool): Leave out images that cannot be used, with a warning; False: refuse the first one.

    Returns:
        tuple[list[Source], int]: At least one image, and how many were left out.

    Raises:
        DataError: If the folder holds no usable image, or, without ``skip``, an image cannot be used; names it.
    """
    sources: list[Source] = []
    skipped = 0
    for found in in_order(partial(_source, root=root), find_images(root), threads=READERS, ahead=2 * READERS):
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
    return sources, skipped


def _source(path: Path, *, root: Path) -> Source | DataError:
    try:
        name, data = _name_of(path, root), read_bytes(path)
        pixels = decode_stored(data, path)
        _check_size(path, pixels.shape)
    except DataError as error:
        return error
    size = (pixels.shape[0], pixels.shape[1])
    return Source(path, name, size, hashlib.sha256(data).hexdigest(), deep=pixels.dtype == np.uint16)


def _name_of(path: Path, root: Path) -> str:
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


@dataclass(frozen=True)
class _Group:
    """Pairs whose images have one size; they share batches."""

    first: int
    batch_size: int
    pairs: int
    positions: list[int]


class Plan:
    """The plan: images in turn, the defect and everything else drawn from (seed, image name, draw number).

    Nothing is kept for a pair: pairs and batches are computed when they are asked for. A batch holds images of one
    size, and who shares one is decided by the plan alone, never by who paints it or what is finished already.

    Args:
        sources (Sequence[Source]): Good images, at least one.
        count (int): Number of pairs. A longer plan begins with the pairs of the shorter one.
        defects (Sequence[str]): Defects to draw from.
        masks (Sequence[Path]): Masks given by the user, used in turn; empty: masks are drawn.
        seed (int): Base seed.
        batch_size (int): Most pairs in a batch; fewer of large images, see :data:`BATCH_PIXELS`.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        count: int,
        defects: Sequence[str],
        masks: Sequence[Path],
        seed: int,
        batch_size: int,
    ) -> None:
        self.sources, self.count, self.defects, self.masks, self.seed = sources, count, list(defects), masks, seed
        self._groups: list[_Group] = []
        self._places = [(0, 0)] * len(sources)  # of each source: its group, and the position in it
        by_size: dict[tuple[int, int], list[int]] = {}
        for position, source in enumerate(sources):
            by_size.setdefault(source.size, []).append(position)
        first = 0
        for number, ((height, width), positions) in enumerate(by_size.items()):
            most = max(min(batch_size, BATCH_PIXELS // (height * width)), 1)
            draws, rest = divmod(count, len(sources))
            pairs = draws * len(positions) + sum(position < rest for position in positions)
            self._groups.append(_Group(first, most, pairs, positions))
            for i, position in enumerate(positions):
                self._places[position] = (number, i)
            first += -(-pairs // most)
        self.batch_count = first

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Item]:
        return map(self.item, range(self.count))

    def source_of(self, index: int) -> Source:
        """Return the good image of a pair."""
        return self.sources[index % len(self.sources)]

    def mask_of(self, index: int) -> Path | None:
        """Return the given mask of a pair; None: it is drawn."""
        return self.masks[index % len(self.masks)] if self.masks else None

    def item(self, index: int) -> Item:
        """Return a pair by its position in the plan."""
        source = self.source_of(index)
        own = derive_seed(self.seed, source.name, index // len(self.sources))
        defect = str(numpy_generator(own, "kind").choice(self.defects))
        return Item(index, source, self.mask_of(index), defect, own, f"{index:06d}_{source.path.stem}")

    def batch_of(self, index: int) -> int:
        """Return the number of the batch that a pair is painted in."""
        draw, position = divmod(index, len(self.sources))
        number, i = self._places[position]
        group = self._groups[number]
        return group.first + (draw * len(group.positions) + i) // group.batch_size

    def batch(self, number: int) -> list[Item]:
        """Return the pairs of a batch."""
        group = self._groups[bisect_right([group.first for group in self._groups], number) - 1]
        start = (number - group.first) * group.batch_size
        members = range(start, min(start + group.batch_size, group.pairs))
        places = [divmod(member, len(group.positions)) for member in members]
        return [self.item(draw * len(self.sources) + group.positions[i]) for draw, i in places]


def check_masks(plan: Plan) -> None:
    """Read every mask that the plan uses against the size of its image.

    Raises:
        DataError: If a mask cannot be read, is empty or has another size than its image.
    """
    seen = set()
    for index in range(len(plan) if plan.masks else 0):
        source, mask = plan.source_of(index), plan.mask_of(index)
        if mask is not None and (mask, source.size) not in seen:
            read_mask(mask, size=source.size, image=source.path)
            seen.add((mask, source.size))
