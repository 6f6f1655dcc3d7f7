# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: regions with an anomaly and its mask, each a pure function of (seed, index)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from anomalib_stage.errors import DataError
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.synthesis.masks import draw_mask
from anomalib_stage.training.defects import KIND_SHAPES, KINDS, paint_defect
from anomalib_stage.training.surfaces import render_surface

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Example", "GoodSurfaces", "Mixture", "ProceduralDefects", "RealDefects", "RegionDataset", "StepBatches"]

logger = logging.getLogger(__name__)

Key = tuple[int, int]
"""Sample index and region side in pixels."""


@dataclass(frozen=True)
class Example:
    """One training region.

    Args:
        image (NDArray[np.uint8]): Region with the anomaly, ``(side, side, 3)`` RGB.
        mask (NDArray[np.bool_]): Anomaly mask, ``(side, side)``, not empty.
        kind (str): Defect kind, or ``good``.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    kind: str


class Source(Protocol):
    """Something that yields examples."""

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        ...


def _drawn_mask(kind: str, side: int, *, rng: np.random.Generator) -> NDArray[np.bool_]:
    shape = str(rng.choice(KIND_SHAPES[kind]))
    smallest = 3.0 if rng.random() < 0.6 else 12.0
    extent = float(np.exp(rng.uniform(np.log(smallest), np.log(0.85 * side))))
    # keep the defect off the region's border: at sampling time a region always has a margin
    border = min(int(max((side - extent) / 2, 0)), 6)
    canvas = np.zeros((side, side), dtype=np.bool_)
    inner = side - 2 * border
    edge = shape == "edge_chip"
    canvas[border : side - border, border : side - border] = (
        draw_mask(shape, (inner, inner), extent=extent, rng=rng) if not edge else _edge_mask(inner, extent, rng=rng)
    )
    return canvas


def _edge_mask(side: int, extent: float, *, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw an edge chip that stands anywhere in the region, not only at its border."""
    allowed = np.zeros((side, side), dtype=np.bool_)
    cut = int(rng.integers(side // 4, side))
    allowed[:cut] = True
    turned = np.rot90(allowed, int(rng.integers(4)))
    return draw_mask("edge_chip", (side, side), extent=min(extent, cut), rng=rng, allowed=np.ascontiguousarray(turned))


GOOD_SHARE = 0.2
"""Share of rendered examples that teach ``good``, intact surface: negatives must carry the same trace as defects."""


class ProceduralDefects:
    """Rendered surfaces with rendered defects, every kind equally often, and intact surface."""

    def __init__(self) -> None:
        self.kinds = tuple(kind for kind in KINDS if kind != "good")

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        kind = "good" if rng.random() < GOOD_SHARE else str(rng.choice(self.kinds))
        # a larger picture than the region: lighting, blur and borders then do not end with the region
        canvas = side + 32
        surface = render_surface((canvas, canvas), rng=rng)
        mask = np.zeros((canvas, canvas), dtype=np.bool_)
        mask[16:-16, 16:-16] = _drawn_mask(kind, side, rng=rng)
        image = paint_defect(surface, mask, kind=kind, rng=rng)[16:-16, 16:-16]
        return Example((image * 255.0 + 0.5).astype(np.uint8), mask[16:-16, 16:-16], kind)


class GoodSurfaces:
    """Regions of the user's good images, with drawn masks: teaches the kind ``good``.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]]) -> None:
        self.images = list(images)

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        image = _at_least(self.images[int(rng.integers(len(self.images)))], side)
        top = int(rng.integers(image.shape[0] - side + 1))
        left = int(rng.integers(image.shape[1] - side + 1))
        region = image[top : top + side, left : left + side]
        example = Example(region, _drawn_mask("good", side, rng=rng), "good")
        return _flipped(example, rng=rng)


class RealDefects:
    """Regions around real defects.

    Args:
        examples (Sequence[Example]): Whole images with masks and kinds; kinds are drawn equally often.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.by_kind: dict[str, list[Example]] = {}
        for example in examples:
            self.by_kind.setdefault(example.kind, []).extend(_components(example))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that have an example, sorted."""
        return tuple(sorted(self.by_kind))

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        kind = str(rng.choice(self.kinds))
        pool = self.by_kind[kind]
        example = pool[int(rng.integers(len(pool)))]
        image, mask = _at_least(example.image, side), _at_least(example.mask.view(np.uint8), side)
        top = _window(np.asarray(mask.any(axis=1)), side, rng=rng)
        left = _window(np.asarray(mask.any(axis=0)), side, rng=rng)
        window = (slice(top, top + side), slice(left, left + side))
        cut = mask[window].astype(np.bool_)
        return _flipped(Example(image[window], cut, kind), rng=rng) if cut.any() else self.draw(side, rng=rng)


def _components(example: Example, *, reach: int = 24) -> list[Example]:
    """Split a mask into defects that stand apart, so that each has a region of its own scale."""
    kernel = np.ones((reach, reach), dtype=np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(example.mask.view(np.uint8), kernel))
    parts = [example.mask & (labels == i) for i in range(1, count)]
    return [Example(example.image, part, example.kind) for part in parts if part.any()]


def _window(occupied: NDArray[np.bool_], side: int, *, rng: np.random.Generator) -> int:
    """Start of a window of ``side`` along an axis that holds the defect, or lies on it if the defect is longer."""
    at = np.flatnonzero(occupied)
    low, high = int(at[0]), int(at[-1]) + 1
    first, last = (high - side, low) if high - low <= side else (low, high - side)
    limit = len(occupied) - side
    return int(rng.integers(min(max(first, 0), limit), min(max(last, 0), limit) + 1))


def _at_least(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Mirror an image beyond its border where it is smaller than a region."""
    down, right = max(side - image.shape[0], 0), max(side - image.shape[1], 0)
    if not down and not right:
        return image
    border = (down // 2, down - down // 2, right // 2, right - right // 2)
    return np.asarray(cv2.copyMakeBorder(image, *border, cv2.BORDER_REFLECT), dtype=np.uint8)


def _flipped(example: Example, *, rng: np.random.Generator) -> Example:
    """Flip, turn by quarters, and change gain and contrast a little."""
    image, mask = np.rot90(example.image, turns := int(rng.integers(4))), np.rot90(example.mask, turns)
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    gain, offset = rng.uniform(0.85, 1.15), rng.uniform(-12.0, 12.0)
    if rng.random() < 0.5:
        image = np.clip((image.astype(np.float32) - 128.0) * gain + 128.0 + offset, 0.0, 255.0).astype(np.uint8)
    return Example(np.ascontiguousarray(image), np.ascontiguousarray(mask), example.kind)


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
            msg = "nothing to train on; give --normal and --defects, or a positive --procedural share"
            raise DataError(msg)
        self.weights = weights / weights.sum()

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        return self.sources[int(rng.choice(len(self.sources), p=self.weights))].draw(side, rng=rng)


class RegionDataset(Dataset[dict[str, torch.Tensor]]):
    """Examples as tensors; item ``(index, side)`` is a function of the seed, the index and the side alone.

    Args:
        source (Source): Where examples come from.
        kinds (Sequence[str]): Kinds in the order of the denoiser's conditions.
        seed (int): Base seed.
    """

    def __init__(self, source: Source, *, kinds: Sequence[str], seed: int) -> None:
        self.source, self.seed = source, seed
        self.position = {kind: i for i, kind in enumerate(kinds)}

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """Return ``image`` (3,S,S) uint8, ``mask`` (1,S,S) bool, ``kind`` int64, ``seed`` int64."""
        index, side = key
        example = self.source.draw(side, rng=numpy_generator(self.seed, "example", index, side))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(example.image)).permute(2, 0, 1),
            "mask": torch.from_numpy(example.mask)[None],
            "kind": torch.tensor(self.position[example.kind]),
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
