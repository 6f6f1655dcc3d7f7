# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: regions with an anomaly and its mask, each a pure function of (seed, index)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from anomalib_stage.errors import DataError
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.training.data.augment import draw_zoom, rescale, shift_colour, turn
from anomalib_stage.training.data.example import Example, Source, draw_window, extend_to_side
from anomalib_stage.training.data.rendered import ProceduralDefects, draw_rendered_mask

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.training.data.background_swap import Backgrounds

__all__ = ["Example", "GoodSurfaces", "Mixture", "ProceduralDefects", "RealDefects", "RegionDataset", "StepBatches"]

Key = tuple[int, int]
"""Sample index and region side in pixels."""

SWAPPED_SHARE = 0.25
"""Share of real defects that are tried on the surface of a good image."""

DAMPING = 0.5
"""Kinds and captures of one piece are drawn with this power of their number: one example is not repeated as often as
fifty, nor do fifty drown it."""


class GoodSurfaces:
    """Regions of the user's good images, with drawn masks: teaches the defect ``good``.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
        quarter (bool): Whether they may be turned by quarters.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], *, quarter: bool = True) -> None:
        self.images, self.quarter = list(images), quarter

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        image = extend_to_side(self.images[int(rng.integers(len(self.images)))], side)
        top = int(rng.integers(image.shape[0] - side + 1))
        left = int(rng.integers(image.shape[1] - side + 1))
        region, mask = image[top : top + side, left : left + side], draw_rendered_mask("good", side, rng=rng)
        region, mask = turn(region, mask, quarter=self.quarter, rng=rng)
        return Example(shift_colour(region, rng=rng), mask, "good")


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
        self._shares = {defect: _shares(pool) for defect, pool in self.group_by_defect.items()}
        sizes = (
            np.array([_count_pieces(self.group_by_defect[defect]) for defect in self._defects], dtype=np.float64)
            ** DAMPING
        )
        self._defect_shares = sizes / max(sizes.sum(), 1e-9)

    @property
    def defects(self) -> tuple[str, ...]:
        """Kinds that have an example, sorted."""
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


def _shares(pool: Sequence[Example]) -> NDArray[np.float64]:
    """How often each example is drawn: captures of one piece share what is damped."""
    sizes = Counter(example.group for example in pool)
    weights = np.array([sizes[e.group] ** (DAMPING - 1.0) if e.group else 1.0 for e in pool])
    return np.asarray(weights / weights.sum(), dtype=np.float64)


class Mixture:
    """Several sources, each drawn with its weight.

    Args:
        sources (Sequence[tuple[Source, float]]): Sources and weights.

    Raises:
        DataError: If no source has a positive weight.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]]) -> None:
        self.sources = [source for source, weight in sources if weight > 0]
        weights = np.array([weight for _, weight in sources if weight > 0], dtype=np.float64)
        if not len(weights):
            msg = "nothing to train on; give --data and --defect-dir, or a positive --procedural share"
            raise DataError(msg)
        self.weights = weights / weights.sum()

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        return self.sources[int(rng.choice(len(self.sources), p=self.weights))].draw(side, rng=rng)


class RegionDataset(Dataset[dict[str, torch.Tensor]]):
    """Examples as tensors; item ``(index, side)`` is a function of the seed, the index and the side alone.

    Args:
        source (Source): Where examples come from.
        defects (Sequence[str]): Defects in the order of the denoiser's conditions.
        seed (int): Base seed.
    """

    def __init__(self, source: Source, *, defects: Sequence[str], seed: int) -> None:
        self.source, self.seed = source, seed
        self.position = {defect: i for i, defect in enumerate(defects)}

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """Return ``image`` (3,S,S) uint8, ``mask`` (1,S,S) bool, ``defect`` int64, ``seed`` int64."""
        index, side = key
        example = self.source.draw(side, rng=numpy_generator(self.seed, "example", index, side))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(example.image)).permute(2, 0, 1),
            "mask": torch.from_numpy(example.mask)[None],
            "kind": torch.tensor(self.position[example.defect]),
            "seed": torch.tensor(derive_seed(self.seed, "noise", index, side)),
        }


class StepBatches:
    """Batch sampler whose batches are a function of the training step, so that a resumed run goes on exactly.

    Every fourth batch has regions of twice the side and a quarter of the size: the same work, larger defects.

    Args:
        batch_size (int): Regions of the base side in a batch.
        steps (int): Batches in an epoch.
        side (int): Base side of a region in pixels.
    """

    def __init__(self, batch_size: int, *, steps: int, side: int) -> None:
        self.batch_size, self.steps, self.side = batch_size, steps, side
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Continue with the batches of an epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.steps

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of each batch."""
        for step in range(self.epoch * self.steps, (self.epoch + 1) * self.steps):
            yield self.at(step)

    def at(self, step: int) -> list[Key]:
        """Return the keys of the batch of a training step."""
        large = step % 4 == 3
        side, count = (2 * self.side, max(self.batch_size // 4, 1)) if large else (self.side, self.batch_size)
        return [(step * self.batch_size + i, side) for i in range(count)]
