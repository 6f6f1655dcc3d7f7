# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which samples an epoch has: every good image, and so many pairs, other ones each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import Sampler

from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["EpochSampler", "find_next_epoch"]


class EpochSampler(Sampler[int]):
    """Yields, in random order, every good image and the next pairs of an endless queue.

    The queue is one random order of all pairs after the other, so that every pair has its turn before one comes again.
    What an epoch has is a function of the seed and the epoch alone: it is the same for any number of worker processes,
    on every rank, and after a resume.

    Args:
        good (Sequence[int]): Places of the good images in the data set.
        pairs (Sequence[int]): Places of the pairs.
        count (int): Pairs in an epoch; more than there are repeats some.
        seed (int): Seed of both orders.
        on_epoch (Callable[[int], None] | None): Told the number of each epoch before its first sample is drawn.
    """

    def __init__(
        self,
        good: Sequence[int],
        pairs: Sequence[int],
        *,
        count: int,
        seed: int,
        on_epoch: Callable[[int], None] | None = None,
    ) -> None:
        self.good, self.pairs = list(good), list(pairs)
        self.count = count if self.pairs else 0
        self.seed, self.on_epoch = seed, on_epoch
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does. Otherwise epochs are counted."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.good) + self.count

    def __iter__(self) -> Iterator[int]:
        epoch = self._epoch
        self._epoch += 1
        if self.on_epoch is not None:
            self.on_epoch(epoch)
        chosen = [*self.good, *self._choose_pairs(epoch)]
        order = numpy_generator(self.seed, "order", epoch).permutation(len(chosen))
        return iter([chosen[place] for place in order])

    def _choose_pairs(self, epoch: int) -> list[int]:
        """Return the pairs of an epoch."""
        start, found = epoch * self.count, list[int]()
        while len(found) < self.count:
            rounds, place = divmod(start + len(found), len(self.pairs))
            queue = numpy_generator(self.seed, "pairs", rounds).permutation(len(self.pairs))
            found += [self.pairs[i] for i in queue[place : place + self.count - len(found)]]
        return found


def find_next_epoch(trainer: Any) -> int:  # noqa: ANN401 - Lightning's Trainer
    """Return the epoch that a training begins or goes on with."""
    loop = getattr(trainer, "fit_loop", None)
    if loop is None:
        return 0
    progress = loop.epoch_progress.current
    # a checkpoint of the validation after the last batch: Lightning counts that epoch as done later
    ended = progress.started > progress.processed and loop.epoch_loop.batch_progress.is_last_batch
    return int(progress.processed) + bool(ended)
