# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a pregeneration: which image gets which defect with which seed, settled before anything is painted."""

from __future__ import annotations

import logging
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.files.masks import read_mask
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anomalib_stage.pregeneration.planning.good_images import Source

__all__ = ["Item", "Plan", "check_masks"]

logger = logging.getLogger(__name__)

BATCH_PIXELS = 32 * 512 * 512
"""Most pixels in a batch: 32 images of 512 px a side, fewer of larger ones, so that these do not exhaust memory."""


LARGEST = 0.5
"""A mask over more than this share of the picture is doubtful."""


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
        masks (Sequence[Path]): Masks given by the user, used in turn (one for each source: each has its own); empty:
            masks are drawn.
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
        return map(self.build_item, range(self.count))

    def find_source(self, index: int) -> Source:
        """Return the good image of a pair."""
        return self.sources[index % len(self.sources)]

    def find_mask(self, index: int) -> Path | None:
        """Return the given mask of a pair; None: it is drawn."""
        return self.masks[index % len(self.masks)] if self.masks else None

    def build_item(self, index: int) -> Item:
        """Return a pair by its position in the plan."""
        source = self.find_source(index)
        own = derive_seed(self.seed, source.name, index // len(self.sources))
        defect = str(numpy_generator(own, "kind").choice(self.defects))
        return Item(index, source, self.find_mask(index), defect, own, f"{index:06d}_{source.path.stem}")

    def find_batch(self, index: int) -> int:
        """Return the number of the batch that a pair is painted in."""
        draw, position = divmod(index, len(self.sources))
        number, i = self._places[position]
        group = self._groups[number]
        return group.first + (draw * len(group.positions) + i) // group.batch_size

    def build_batch(self, number: int) -> list[Item]:
        """Return the pairs of a batch."""
        group = self._groups[bisect_right([group.first for group in self._groups], number) - 1]
        start = (number - group.first) * group.batch_size
        members = range(start, min(start + group.batch_size, group.pairs))
        places = [divmod(member, len(group.positions)) for member in members]
        return [self.build_item(draw * len(self.sources) + group.positions[i]) for draw, i in places]


def check_masks(plan: Plan) -> None:
    """Read every mask that the plan uses against the size of its image; warn of those that look inverted.

    Raises:
        DataError: If a mask cannot be read, is empty or has another size than its image.
    """
    seen, large = set(), []
    for index in range(len(plan) if plan.masks else 0):
        source, mask = plan.find_source(index), plan.find_mask(index)
        if mask is not None and (mask, source.size) not in seen:
            marked = read_mask(mask, size=source.size, image=source.path)
            seen.add((mask, source.size))
            large += [mask] if marked.mean() > LARGEST else []
    if large:
        logger.warning(
            "%d masks mark more than half of the picture, such as %s; white must be the defect", len(large), large[0]
        )
