# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: regions with an anomaly and its mask, each a pure function of (seed, index)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anomalib_stage.training.data.regions.example import Source

__all__ = ["REGION_SIDE", "RegionDataset", "StepBatches"]


REGION_SIDE = 64
"""Base side of a training region in pixels."""

Key = tuple[int, int]
"""Sample index and region side in pixels."""


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
            yield self.list_keys(step)

    def list_keys(self, step: int) -> list[Key]:
        """Return the keys of the batch of a training step."""
        large = step % 4 == 3
        side, count = (2 * self.side, max(self.batch_size // 4, 1)) if large else (self.side, self.batch_size)
        return [(step * self.batch_size + i, side) for i in range(count)]
