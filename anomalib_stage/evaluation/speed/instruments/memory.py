# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The memory that work needs at its peak."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["measure_peak"]

STATM = Path("/proc/self/statm")
"""Where Linux tells the memory of a process."""

INTERVAL = 0.002
"""Seconds between two looks at the memory of the process."""


def measure_peak(device: torch.device, call: Callable[[], object]) -> float | None:
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
    _trim_heap()
    before = _read_resident()
    with _watch_memory() as seen:
        result = call()  # held until it is counted
        seen.append(_read_resident())
    del result
    return max(max(seen) - before, 0) / 1e6


def _trim_heap() -> None:
    """Give memory that is free back to the system: a call that takes it again would otherwise seem to need none."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


def _read_resident() -> int:
    """Return the bytes of this process in memory."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _watch_memory() -> Iterator[list[int]]:
    """Look at the memory of the process again and again."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL):
            seen.append(_read_resident())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()
