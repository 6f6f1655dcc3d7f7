# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks that wait for the device, and turns that take work by turns."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Task", "Timing", "alternate", "now"]


def now(device: torch.device) -> float:
    """Return the time in seconds, after all work on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(frozen=True)
class Task:
    """Something to measure.

    Args:
        key (tuple[str | int, ...]): What it is called in the results.
        run (Callable[[int], Sequence[float]]): Does it in the round of that number, and returns the milliseconds of
            each piece of work.
        warm (Callable[[], object]): Does as little of it as will do to warm up.
        rounds (int | None): Most turns that it has; None: as many as the others.
    """

    key: tuple[str | int, ...]
    run: Callable[[int], Sequence[float]]
    warm: Callable[[], object]
    rounds: int | None = None


@dataclass
class Timing:
    """Milliseconds of one task.

    Args:
        rounds (list[list[float]]): For each round, those of each piece of work.
    """

    rounds: list[list[float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median over the rounds of the mean over a round's pieces."""
        return statistics.median(statistics.fmean(pieces) for pieces in self.rounds)


def alternate(
    tasks: Sequence[Task], *, rounds: int, progress: Callable[[str, int, int], None]
) -> dict[tuple[str | int, ...], Timing]:
    """Measure tasks by turns, so that a machine that slows down slows all of them.

    Args:
        tasks (Sequence[Task]): What to measure; each is warmed up first.
        rounds (int): Turns that each of them has.
        progress (Callable[[str, int, int], None]): Told what is measured, how much is done and of how much.

    Returns:
        dict[tuple[str | int, ...], Timing]: One timing for each task.
    """
    total = len(tasks) * (rounds + 1)
    for i, task in enumerate(tasks):
        progress("warming up", i, total)
        task.warm()
    timings = {task.key: Timing() for task in tasks}
    for turn in range(rounds):
        for i, task in enumerate(tasks):
            progress(" ".join(map(str, task.key)), (turn + 1) * len(tasks) + i, total)
            if task.rounds is None or turn < task.rounds:
                timings[task.key].rounds.append(list(task.run(turn)))
    return timings
