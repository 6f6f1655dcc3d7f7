# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Regions around real defects, and how often each is drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.training.data.regions.augment import draw_zoom, rescale, shift_colour, turn
from anomalib_stage.training.data.regions.example import Example, draw_window, extend_to_side

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.background_swap import Backgrounds

__all__ = ["RealDefects"]


SWAPPED_SHARE = 0.25
"""Share of real defects that are tried on the surface of a good image."""

DAMPING = 0.5
"""Defects and captures of one piece are drawn with this power of their number: one example is not repeated as often as
fifty, nor do fifty drown it."""


class RealDefects:
    """Regions around real defects, changed in ways that a defect survives.

    Args:
        examples (Sequence[Example]): Whole images with masks, defects and groups.
        backgrounds (Backgrounds | None): Good images that a share of the defects is put into.
        straight (Collection[str]): Defects that are not turned by quarters.
        plain (bool): Draw regions as they are, for measuring and not for training.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        backgrounds: Backgrounds | None = None,
        straight: Collection[str] = (),
        plain: bool = False,
    ) -> None:
        self.backgrounds, self.straight, self.plain = backgrounds, frozenset(straight), plain
        self.group_by_defect: dict[str, list[Example]] = {}
        for example in examples:
            self.group_by_defect.setdefault(example.defect, []).extend(_split_components(example))
        self._defects = sorted(self.group_by_defect)
        self._shares = {defect: _compute_shares(pool) for defect, pool in self.group_by_defect.items()}
        sizes = (
            np.array([_count_pieces(self.group_by_defect[defect]) for defect in self._defects], dtype=np.float64)
            ** DAMPING
        )
        self._defect_shares = sizes / max(sizes.sum(), 1e-9)

    @property
    def defects(self) -> tuple[str, ...]:
        """Defects that have an example, sorted."""
        return tuple(self._defects)

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        return self.draw_defect(
            self._defects[int(rng.choice(len(self._defects), p=self._defect_shares))], side, rng=rng
        )

    def draw_defect(self, defect: str, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example of a defect."""
        pool = self.group_by_defect[defect]
        example = pool[int(rng.choice(len(pool), p=self._shares[defect]))]
        cut = side if self.plain else max(round(side / draw_zoom(rng)), 8)
        image, mask = extend_to_side(example.image, cut), extend_to_side(example.mask.view(np.uint8), cut)
        window = draw_window(mask.view(np.bool_), cut, rng=rng)
        region, part = image[window], np.ascontiguousarray(mask[window]).astype(np.bool_)
        if not part.any():  # between the arms of a long defect
            return self.draw_defect(defect, side, rng=rng)
        if self.plain:
            return Example(region, part, defect)
        if self.backgrounds is not None and rng.random() < SWAPPED_SHARE:
            swap_background = self.backgrounds.swap_background(region, part, rng=rng)
            region = region if swap_background is None else swap_background
        region, part = rescale(region, part, side)
        if not part.any():
            return self.draw_defect(defect, side, rng=rng)
        region, part = turn(region, part, quarter=defect not in self.straight, rng=rng)
        return Example(shift_colour(region, rng=rng), part, defect)


def _split_components(example: Example, *, reach: int = 24) -> list[Example]:
    """Split a mask into defects that stand apart, so that each has a region of its own scale."""
    kernel = np.ones((reach, reach), dtype=np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(example.mask.view(np.uint8), kernel))
    parts = [example.mask & (labels == i) for i in range(1, count)]
    return [replace(example, mask=part) for part in parts if part.any()]


def _count_pieces(pool: Sequence[Example]) -> int:
    """How many different pieces the examples show; those without a group count one each."""
    return len({example.group for example in pool if example.group}) + sum(not example.group for example in pool)


def _compute_shares(pool: Sequence[Example]) -> NDArray[np.float64]:
    """How often each example is drawn: captures of one piece share what is damped."""
    sizes = Counter(example.group for example in pool)
    weights = np.array([sizes[e.group] ** (DAMPING - 1.0) if e.group else 1.0 for e in pool])
    return np.asarray(weights / weights.sum(), dtype=np.float64)
