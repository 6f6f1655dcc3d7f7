# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Wait for the device once for many: work that needs numbers on the host stops, and all of it goes on together."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Rows", "Steps", "run_together"]

Result = TypeVar("Result")

Rows = NDArray[np.float32]

Steps = Generator[Tensor, Rows, Result]
"""Work that yields a tensor where it needs its numbers on the host, and is sent them as an array of that shape."""


def run_together(work: Sequence[Steps[Result]]) -> list[Result]:
    """Run pieces of work; where they stop for numbers, those of all are fetched in one transfer.

    Args:
        work (Sequence[Steps[Result]]): They yield float32 tensors, all on one device.

    Returns:
        list[Result]: What each returns.
    """
    results: dict[int, Result] = {}
    sent: dict[int, Rows | None] = dict.fromkeys(range(len(work)))
    while sent:
        asked = {i: tensor for i, rows in sent.items() if (tensor := _next(work[i], rows, results, i)) is not None}
        sent = dict(zip(asked, _fetched(list(asked.values())), strict=True))
    return [results[i] for i in range(len(work))]


def _next(work: Steps[Result], rows: Rows | None, results: dict[int, Result], i: int) -> Tensor | None:
    """Go on until the work stops for numbers; None: it is done, and its result is entered."""
    try:
        return next(work) if rows is None else work.send(rows)
    except StopIteration as stop:
        results[i] = stop.value
        return None


def _fetched(tensors: Sequence[Tensor]) -> list[Rows]:
    if not tensors:
        return []
    flat = torch.cat([tensor.flatten() for tensor in tensors]).cpu().numpy()
    parts = np.split(flat, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [part.reshape(tuple(tensor.shape)) for part, tensor in zip(parts, tensors, strict=True)]
