# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What objects have in common: an axis through the frame, a background, and light on round bodies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.rendering.surface_types.fields import build_grid, draw_log_uniform, draw_noise_field

if TYPE_CHECKING:
    from anomalib_stage.rendering.surface_types.fields import Array, Field

__all__ = ["draw_axes", "draw_background", "overlay", "shade_cylinder"]


def draw_axes(size: tuple[int, int], *, rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates along and across an axis through the frame, at times upright."""
    ys, xs = build_grid(size)
    angle = rng.integers(2) * math.pi / 2 + rng.normal(0, 0.03) if rng.random() < 0.5 else rng.uniform(0, 2 * math.pi)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return xs * cos + ys * sin, ys * cos - xs * sin


def draw_background(size: tuple[int, int], *, rng: np.random.Generator) -> Field:
    """Background: back light, dark box, or a table."""
    level = float(rng.choice([rng.uniform(0.85, 1.0), rng.uniform(0.0, 0.12), rng.uniform(0.1, 0.9)]))
    grain = abs(rng.normal(0, 0.012)) * draw_noise_field(size, period=draw_log_uniform(rng, 1.5, 40), rng=rng)
    return np.asarray(level + grain, dtype=np.float32)


def overlay(cover: Array, above: Array, below: Array) -> Field:
    """Lay one reflectance over another where ``cover`` is 1."""
    return np.asarray(below + cover * (above - below), dtype=np.float32)


def shade_cylinder(across: Field, *, rng: np.random.Generator, shine: int) -> Field:
    """Light on a cylinder at ``across`` in [-1, 1]: shade towards the sides and reflections of lamps along it."""
    place = np.clip(across, -1, 1)
    facing, lamp = np.sqrt(1.0 - place * place), rng.uniform(-0.8, 0.8)
    ambient = rng.uniform(0.2, 0.8)
    shade = ambient + (1 - ambient) * np.clip(place * lamp + facing * math.sqrt(1 - lamp * lamp), 0, 1)
    for _ in range(shine):
        centre, half = rng.uniform(-0.85, 0.85), rng.uniform(0.02, 0.2)
        edge = rng.uniform(0.02, 0.2)  # a lamp has a border, sharp on a polished part
        strip = np.clip((half - np.abs(place - centre)) / edge + 0.5, 0, 1)
        shade = shade + rng.uniform(-0.15, 0.6) * strip
    return np.asarray(shade, dtype=np.float32)
