# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks that wait for the device, turns that take work by turns, and the memory that work needs."""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Task", "Timing", "alternate", "now", "peak_memory"]

STATM = Path("/proc/self/statm")
"""Where Linux tells the memory of a process."""

INTERVAL = 0.002
"""Seconds between two looks at the memory of the process."""


def now(device: torch.device) -> float:
    """Seconds, after all work on the device is done."""
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


def peak_memory(device: torch.device, call: Callable[[], object]) -> float | None:
    """Return by how many MB a call raises the memory in use at its peak, its result included.

    On CUDA that is what torch allocates there, elsewhere the resident memory of the process.

    Returns:
        float | None: None where the system does not tell.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if not STATM.is_file():
        return None
    _give_back()
    before = _resident()
    with _watched() as seen:
        result = call()  # held until it is counted
        seen.append(_resident())
    del result
    return max(max(seen) - before, 0) / 1e6


def _give_back() -> None:
    """Give memory that is free back to the system: a call that takes it again would otherwise seem to need none."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Look at the memory of the process again and again."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL):
            seen.append(_resident())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()
