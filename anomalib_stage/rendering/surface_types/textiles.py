# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Textiles: leather, fibres, cloth and wire mesh. Sizes are in pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.rendering.surface_types.fields import (
    build_grid,
    draw_log_uniform,
    draw_noise_field,
    scatter_cells,
    stack_layers,
    turn_frame,
)

if TYPE_CHECKING:
    from anomalib_stage.rendering.surface_types.fields import Layers

__all__ = ["draw_fibres", "draw_leather", "draw_mesh", "draw_woven"]


def draw_leather(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Leather: rounded bumps in cells."""
    cell = draw_log_uniform(rng, 4, 16)
    near, _ = scatter_cells(size, cell, rng=rng)
    bumps = 1.0 - np.clip(near / np.float32(0.8 * cell), 0, 1) ** np.float32(rng.uniform(1.2, 2.5))
    bumps = cv2.GaussianBlur(bumps, (0, 0), 0.07 * cell + 0.4)
    reflectance = (
        rng.uniform(0.15, 0.6) + rng.uniform(0.03, 0.15) * bumps + 0.02 * draw_noise_field(size, period=40, rng=rng)
    )
    fine = 0.1 * draw_noise_field(size, period=1.7, rng=rng)
    return stack_layers(reflectance, rng.uniform(0.5, 0.2 * cell + 0.6) * bumps + fine)


def draw_fibres(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Carpet pile, felt, paper: short fibres that lie in many directions."""
    length, main, spread = int(rng.integers(5, 14)), rng.uniform(0, math.pi), rng.uniform(0.2, 1.6)
    piles = []
    for turn in np.linspace(-spread, spread, 4) + main:
        kernel = np.zeros((length, length), dtype=np.float32)
        step = (length // 2) * np.array([math.cos(turn), math.sin(turn)])
        ends = np.rint(length // 2 + np.stack([-step, step])).astype(int)
        cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA)
        piles.append(cv2.filter2D(rng.standard_normal(size, dtype=np.float32), -1, kernel / kernel.sum()))
    top = np.max(piles, axis=0)
    pile = (top - top.mean()) / max(float(top.std()), 1e-6)
    reflectance = (
        rng.uniform(0.2, 0.85) + rng.uniform(0.01, 0.12) * pile + 0.02 * draw_noise_field(size, period=30, rng=rng)
    )
    return stack_layers(reflectance, rng.uniform(0, 1.0) * pile)


@turn_frame
def draw_mesh(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Wire grid before a light or dark background; wires cross over and under."""
    pitch = draw_log_uniform(rng, 8, 48)
    wire = pitch * rng.uniform(0.1, 0.3)
    bend = [rng.uniform(0, 0.08) * pitch * draw_noise_field(size, period=2 * pitch, rng=rng) for _ in range(2)]
    at = [v + b for v, b in zip(build_grid(size), bend, strict=True)]
    off = [np.abs(v % pitch - pitch / 2) for v in at]
    over = np.cos(at[0] * np.float32(math.pi / pitch)) * np.cos(at[1] * np.float32(math.pi / pitch))
    dome = [np.sqrt(np.clip(1 - (d / wire) ** 2, 0, 1)) for d in off]
    height = np.maximum(dome[0] * (1 + 0.3 * over), dome[1] * (1 - 0.3 * over))
    cover = np.clip(wire - np.minimum(*off) + 0.5, 0, 1)
    metal = rng.uniform(0.2, 0.9) * (rng.uniform(0.2, 0.8) + 0.5 * height)
    ground = rng.uniform(0, 1) + rng.uniform(0, 0.06) * draw_noise_field(size, period=30, rng=rng)
    return stack_layers(ground + cover * (metal - ground), wire * rng.uniform(0.2, 0.6) * height)


@turn_frame
def draw_woven(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Cloth: threads over and under each other, in plain or twill order."""
    scale = draw_log_uniform(rng, 3, 16)
    pitch = [scale * rng.uniform(0.8, 1.25) for _ in range(2)]
    shake = [p * rng.uniform(0, 0.2) * draw_noise_field(size, period=25, rng=rng) for p in pitch]
    ys, xs = ((v + s) / p for v, s, p in zip(build_grid(size), shake, pitch, strict=True))
    row, col = np.floor(ys), np.floor(xs)
    across, along = 2 * (xs - col) - 1, 2 * (ys - row) - 1
    over = (col + row) % 2 < 1 if rng.random() < 0.6 else (col + row) % 4 < 2
    dome = 1 - np.where(over, across, along) ** 2 * 0.9
    dome = dome * (1 - rng.uniform(0.1, 0.5) * np.where(over, along, across) ** 2)
    fine = draw_noise_field(size, period=1.6, rng=rng)
    height = dome + rng.uniform(0.02, 0.15) * fine
    reflectance = rng.uniform(0.15, 0.7) + rng.uniform(-0.12, 0.12) * over + rng.uniform(0.05, 0.3) * dome
    return stack_layers(reflectance + rng.uniform(0.01, 0.05) * fine, 0.15 * min(pitch) * height)
