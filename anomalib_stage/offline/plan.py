# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a pregeneration: which image gets which defect with which seed, settled before anything is painted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.images import find_images, load_image, read_mask
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Item",
    "Source",
    "check_masks",
    "check_outside",
    "images_root",
    "load_good",
    "make_batches",
    "make_plan",
    "usable_sources",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A good image that was read once and can be painted.

    Args:
        path (Path): File.
        name (str): Path relative to the folder of good images, with forward slashes.
        size (tuple[int, int]): Height and width in pixels.
    """

    path: Path
    name: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Item:
    """One pair of the plan.

    Args:
        index (int): Position in the plan.
        source (Source): Good image.
        mask (Path | None): Mask given by the user; None: drawn.
        kind (str): Defect kind.
        seed (int): Seed of the pair.
        name (str): File name without suffix, unique in the plan and sorted like the plan.
    """

    index: int
    source: Source
    mask: Path | None
    kind: str
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
    """Read a good image (see :func:`~anomalib_stage.images.load_image`) and refuse one too small to paint.

    Raises:
        DataError: If it cannot be read or a side is shorter than 32 px.
    """
    pixels, conversions = load_image(path)
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_IMAGE_SIDE:
        msg = f"{path}: {width}x{height} px; at least {MIN_IMAGE_SIDE} px a side are needed, remove it"
        raise DataError(msg)
    return pixels, conversions


def usable_sources(root: Path, *, limit: int, skip: bool) -> tuple[list[Source], int]:
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
    converted: dict[str, int] = {}
    for path in find_images(root):
        if len(sources) == limit:
            break
        try:
            name = _name_of(path, root)
            pixels, conversions = load_good(path)
        except DataError as error:
            if not skip:
                raise
            skipped += 1
            logger.warning("skipped: %s", error)
            continue
        sources.append(Source(path, name, (pixels.shape[0], pixels.shape[1])))
        converted.update({text: converted.get(text, 0) + 1 for text in conversions})
    if not sources:
        msg = f"{root}: none of its {skipped} images can be used; the messages above say why"
        raise DataError(msg)
    for text, count in converted.items():
        logger.info("%s in %d of %d images", text, count, len(sources))
    return sources, skipped


def _name_of(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:  # neither a seed nor the manifest could hold it
        msg = f"{root}: the file name {name!a} is not UTF-8; rename the file"
        raise DataError(msg) from error
    return name


def make_plan(
    sources: Sequence[Source], *, count: int, kinds: Sequence[str], masks: Sequence[Path], seed: int
) -> list[Item]:
    """Make the plan: images in turn, the kind and everything else drawn from (seed, image name, draw number).

    Args:
        sources (Sequence[Source]): Good images.
        count (int): Number of pairs.
        kinds (Sequence[str]): Kinds to draw from.
        masks (Sequence[Path]): Masks given by the user, used in turn; empty: masks are drawn.
        seed (int): Base seed.

    Returns:
        list[Item]: ``count`` items. A longer plan begins with the shorter one.
    """
    plan = []
    for index in range(count):
        source, draw = sources[index % len(sources)], index // len(sources)
        own = derive_seed(seed, source.name, draw)
        kind = str(numpy_generator(own, "kind").choice(list(kinds)))
        mask = masks[index % len(masks)] if masks else None
        plan.append(Item(index, source, mask, kind, own, f"{index:06d}_{source.path.stem}"))
    return plan


def check_masks(plan: Sequence[Item]) -> None:
    """Read every mask that the plan uses against the size of its image.

    Raises:
        DataError: If a mask cannot be read, is empty or has another size than its image.
    """
    seen = set()
    for item in plan:
        if item.mask is not None and (item.mask, item.source.size) not in seen:
            read_mask(item.mask, size=item.source.size, image=item.source.path)
            seen.add((item.mask, item.source.size))


def make_batches(plan: Sequence[Item], batch_size: int) -> list[list[Item]]:
    """Cut the plan into batches of images of one size; who shares a batch is decided by the plan alone."""
    by_size: dict[tuple[int, int], list[Item]] = {}
    for item in plan:
        by_size.setdefault(item.source.size, []).append(item)
    return [
        members[start : start + batch_size]
        for members in by_size.values()
        for start in range(0, len(members), batch_size)
    ]
