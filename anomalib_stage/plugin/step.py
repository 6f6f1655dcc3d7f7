# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The books of one training step: its seeds, what was painted, and how long that took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.plugin.swapping import Painting

__all__ = ["COUNTERS", "Step"]

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
        counts (dict[str, int]): Images seen, anomalies, negatives, anomalies put back and rejected.
    """

    key: tuple[int, int, int]
    start: float = field(default_factory=time.perf_counter)
    calls: int = 0
    seconds: float = 0.0
    foregrounds: Tensor | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def seeds(self, base: int, count: int) -> list[int]:
        """Return a seed for each image of the next call: rank, epoch, batch, sample, and the call if not the first."""
        again = (self.calls,) if self.calls else ()
        self.calls += 1
        return [derive_seed(base, *self.key, i, *again) for i in range(count)]

    def record(self, painting: Painting, *, seconds: float) -> None:
        """Count what was painted."""
        painted = (int(painting.anomalous.sum()), int(painting.negative.sum()))
        found = (len(painting.mask), *painted, painting.put_back, painting.rejected)
        for name, count in zip(COUNTERS, found, strict=True):
            self.counts[name] += count
        self.seconds += seconds
