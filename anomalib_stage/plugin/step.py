# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The books of one training step: its seeds, what was painted, and how long that took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from anomalib_stage.plugin.swapping import Painting

__all__ = ["COUNTERS", "Step"]

COUNTERS = ("images", "anomalies", "negatives", "put_back")


@dataclass
class Step:
    """One training step.

    Args:
        key (tuple[int, int, int]): Rank, epoch and batch index.
        start (float): Clock at its start, in seconds.
        calls (int): Batches painted so far; a model may ask its generator more than once.
        seconds (float): Time spent on painting.
        counts (dict[str, int]): Images seen, anomalies, negatives, and anomalies put back.
    """

    key: tuple[int, int, int]
    start: float = field(default_factory=time.perf_counter)
    calls: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def seeds(self, base: int, count: int) -> list[int]:
        """Return a seed for each image of the next call: rank, epoch, batch, sample, and the call if not the first."""
        again = (self.calls,) if self.calls else ()
        self.calls += 1
        return [derive_seed(base, *self.key, i, *again) for i in range(count)]

    def record(self, painting: Painting, *, seconds: float) -> None:
        """Count what was painted."""
        found = (len(painting.mask), int(painting.anomalous.sum()), int(painting.negative.sum()), painting.put_back)
        for name, count in zip(COUNTERS, found, strict=True):
            self.counts[name] += count
        self.seconds += seconds
