# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The books of one training step: its seeds, what was painted, and how long that took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from anomalib_stage.pipeline.pair import Pair
    from anomalib_stage.plugin.pairs.choice import Choice

__all__ = ["COUNTERS", "Step", "summary"]

COUNTERS = ("images", "anomalies", "negatives", "put_back", "rejected")


@dataclass
class Step:
    """One training step.

    Args:
        key (tuple[int, int, int]): Rank, epoch and batch index.
        start (float): Clock at its start, in seconds.
        calls (int): Batches painted so far; a model may ask its generator more than once.
        seconds (float): Time spent on painting.
        foregrounds (Tensor | None): ``(B, 1, H, W)`` bool, where defects may lie in the batch; None: not overridden.
        choices (list[Choice] | None): What each image gets, where a bank was asked first; None: there is no bank.
        bank (Pair | None): The batch with the pairs of the bank; None: there are none.
        put_back (int): Images that stay good because the model would have seen no pair of the bank.
        counts (dict[str, int]): Images seen, anomalies, negatives, anomalies put back and rejected.
    """

    key: tuple[int, int, int]
    start: float = field(default_factory=time.perf_counter)
    calls: int = 0
    seconds: float = 0.0
    foregrounds: Tensor | None = None
    choices: list[Choice] | None = None
    bank: Pair | None = None
    put_back: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def seeds(self, base: int, count: int) -> list[int]:
        """Return a seed for each image of the next call: rank, epoch, batch, sample, and the call if not the first."""
        found = self.coming_seeds(base, count)
        self.calls += 1
        return found

    def coming_seeds(self, base: int, count: int) -> list[int]:
        """Return what :meth:`seeds` will return next, and count no call."""
        again = (self.calls,) if self.calls else ()
        return [derive_seed(base, *self.key, i, *again) for i in range(count)]

    def record(self, pair: Pair, *, put_back: int, seconds: float) -> None:
        """Count what was painted."""
        painted = (int(pair.label.sum()), int(pair.negative.sum()))
        found = (len(pair.mask), *painted, put_back, int(pair.rejected.sum()))
        for name, count in zip(COUNTERS, found, strict=True):
            self.counts[name] += count
        self.seconds += seconds

    def shares(self, elapsed: float) -> dict[str, float]:
        """Return what is logged of a step that took ``elapsed`` seconds: shares in [0, 1] by name."""
        images = max(self.counts["images"], 1)
        return {
            "stage/anomalous_fraction": self.counts["anomalies"] / images,
            "stage/negative_fraction": self.counts["negatives"] / images,
            "stage/time_share": self.seconds / elapsed,
        }


def summary(counts: Mapping[str, int], *, painting: float, steps: float) -> str:
    """Say in one line what was painted; ``painting`` and ``steps`` are seconds."""
    return (
        f"{counts['anomalies']} anomalies and {counts['negatives']} negatives in {counts['images']} images, "
        f"{counts['rejected']} left good because no picture was visible enough, "
        f"{counts['put_back']} put back because the model would not have seen them, "
        f"{100 * painting / max(steps, 1e-9):.0f}% of the time of a training step"
    )
