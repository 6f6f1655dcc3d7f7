# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What each time step is told: the alignment mask, and which branch acts.

The paper's EMA, *explicit mask alignment*, is :func:`align_mask` (``ema`` means averaged weights elsewhere).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["align_mask", "compute_open_share", "compute_open_shares", "find_window_steps"]

SHRINK_END = 0.2
"""Fraction of the diffusion time below which the alignment mask is the anomaly mask (published: 200 of 1000)."""


def align_mask(mask: Tensor, t: Tensor, *, steps: int, end: float = SHRINK_END) -> Tensor:
    """Explicit mask alignment: all ones at pure noise, linearly to exactly the anomaly.

    ``c(t) = B + clamp((t/T - end) / (1 - end), 0, 1) (1 - B)``; with T = 1000 and end = 0.2 the published schedule
    (published-method.md, (4)), without its dependence on T.

    Args:
        mask (Tensor): Anomaly mask B, float, values in {0, 1}, ``(B, ...)``.
        t (Tensor): Time steps, ``(B,)`` int64 in [0, T].
        steps (int): Number of training time steps T.
        end (float): Fraction of T below which c is exactly B.

    Returns:
        Tensor: Alignment mask, shape and dtype of ``mask``, values in [0, 1].
    """
    share = compute_open_share(t.to(mask.dtype), steps=steps, end=end)
    return mask + share.view(-1, *([1] * (mask.dim() - 1))) * (1.0 - mask)


def compute_open_share(t: Tensor, *, steps: int, end: float = SHRINK_END) -> Tensor:
    """Return what the alignment mask is outside the anomaly at the time steps ``t``, float; see :func:`align_mask`."""
    return ((t / steps - end) / (1.0 - end)).clamp(0.0, 1.0)


@lru_cache(maxsize=64)
def compute_open_shares(times: tuple[int, ...], *, steps: int, dtype: torch.dtype) -> tuple[float, ...]:
    """Return :func:`compute_open_share` at the time steps of a sampler, rounded to ``dtype``."""
    return tuple(compute_open_share(torch.tensor(times, dtype=dtype), steps=steps).tolist())


def find_window_steps(timesteps: Sequence[int], windows: Sequence[tuple[float, float]], *, steps: int) -> list[bool]:
    """Say for each time step whether the anomaly-only branch acts there (graded diffusion).

    Args:
        timesteps (Sequence[int]): Descending time steps of the sampler.
        windows (Sequence[tuple[float, float]]): Windows as fractions of T, bounds included.
        steps (int): Number of training time steps T.

    Returns:
        list[bool]: One flag for each step. Every window has at least one step, its nearest, however few there are.
    """
    chosen: set[int] = set()
    for low, high in windows:
        inside = {i for i, t in enumerate(timesteps) if low * steps <= t <= high * steps}
        centre = (low + high) / 2 * steps
        chosen |= inside or {min(range(len(timesteps)), key=lambda i: abs(timesteps[i] - centre))}
    return [i in chosen for i in range(len(timesteps))]
