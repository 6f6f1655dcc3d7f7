# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The good images that are painted into while the clock runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["render_timed_images"]

FAMILIES = ("brushed_metal", "leather", "cast", "wood", "woven", "machined", "stone", "plain")
RENDERED = 512
"""Largest side that is rendered; larger images go on mirrored."""


def render_timed_images(size: int, count: int, *, seed: int = 0) -> Tensor:
    """Render good surfaces of eight families that fill the frame.

    Args:
        size (int): Side in pixels.
        count (int): How many; from the ninth on they are the first eight, moved.
        seed (int): Seed.

    Returns:
        Tensor: ``(count, 3, size, size)`` float32 in [0, 1], 8 bit in depth.
    """
    side = min(size, RENDERED)
    rendered = [
        render_surface((side, side), rng=numpy_generator(seed, "speed", family), family=family)
        for family in FAMILIES[:count]
    ]
    eight_bit = np.stack([(picture * 255.0 + 0.5).astype(np.uint8) for picture in rendered])
    mirrored = np.pad(eight_bit, ((0, 0), (0, size - side), (0, size - side), (0, 0)), mode="symmetric")
    whole = torch.from_numpy(np.ascontiguousarray(mirrored.transpose(0, 3, 1, 2))).float() / 255.0
    turns = [whole.roll(i * size // 7, dims=3) for i in range(-(-count // len(whole)))]
    return torch.cat(turns)[:count]
