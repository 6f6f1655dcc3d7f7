# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The portable noise stream of the golden files: splitmix64 counters, Box-Muller."""

from __future__ import annotations

import numpy as np
import torch


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Stream:
    """Standard normal numbers; each call takes the next ones in C order."""

    def __init__(self, seed: int) -> None:
        self.base = _mix(np.array([seed], dtype=np.uint64))[0]
        self.taken = 0

    def __call__(self, shape: tuple[int, ...]) -> torch.Tensor:
        count = int(np.prod(shape))
        index = np.arange(2 * self.taken, 2 * (self.taken + count), dtype=np.uint64)
        self.taken += count
        bits = _mix(self.base + (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)
        u1, u2 = (bits[0::2].astype(np.float64) + 1) / 2**53, bits[1::2].astype(np.float64) / 2**53
        normal = np.sqrt(-2 * np.log(u1)) * np.cos(2 * np.pi * u2)
        return torch.from_numpy(normal.astype(np.float32)).view(*shape)
