# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Solid bodies with a structure of their own: granulate, glass and wood. Sizes are in pixels."""

from __future__ import annotations

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

__all__ = ["draw_glass", "draw_grains", "draw_wood"]


@turn_frame
def draw_grains(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Pellets, seeds, granulate: packed domes, each of its own brightness, dark gaps between."""
    cell, squeeze = draw_log_uniform(rng, 6, 24), rng.uniform(1.0, 2.2)
    wide = max(int(size[1] / squeeze), 8)
    near, label = scatter_cells((size[0], wide), cell, rng=rng)
    own = rng.standard_normal(int(label.max()) + 1, dtype=np.float32)[label]
    dome = np.sqrt(np.clip(1.0 - (near / np.float32(0.62 * cell)) ** 2, 0, 1))
    reflectance = (rng.uniform(0.3, 0.7) + rng.uniform(0, 0.1) * own) * (rng.uniform(0.1, 0.7) + dome)
    reflectance = cv2.GaussianBlur(reflectance.astype(np.float32), (0, 0), 0.5)
    big = (size[1], size[0])
    return cv2.resize(reflectance, big), cv2.resize(dome * np.float32(rng.uniform(0.1, 0.3) * cell), big)


def draw_glass(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Glass, foil, lacquer: smooth folds of reflected light, lamps mirrored in it."""
    wavy = draw_noise_field(size, period=draw_log_uniform(rng, 0.6, 3) * min(size), rng=rng)
    ys, xs = build_grid(size)
    bend = wavy + (rng.normal(0, 1.5) * ys + rng.normal(0, 1.5) * xs) / np.float32(max(size))
    folds = np.sin(rng.uniform(0.5, 2.5) * bend + rng.uniform(0, 6.28))
    past = bend - rng.uniform(-1.5, 1.5)  # a reflection: one sharp side, one that fades
    lamp = np.exp(-np.clip(past, 0, None) / rng.uniform(0.2, 1.5)) * np.clip(past / rng.uniform(0.02, 0.4) + 0.5, 0, 1)
    reflectance = rng.uniform(0.15, 0.85) + rng.uniform(0.03, 0.25) * folds + rng.uniform(-0.3, 0.5) * lamp
    return stack_layers(reflectance, 0.1 * draw_noise_field(size, period=20, rng=rng))


@turn_frame
def draw_wood(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Wood: year rings cut along the fibre."""
    along = draw_noise_field(size, period=draw_log_uniform(rng, 15, 50), rng=rng, stretch=6, octaves=2)
    turns = build_grid(size)[0] / draw_log_uniform(rng, 8, 40) + rng.uniform(0.2, 1.0) * along
    rings = np.abs(np.mod(turns, 1.0)) ** 2 - 0.3 if rng.random() < 0.5 else 0.5 * np.sin(6.283 * turns)
    fibre = draw_noise_field(size, period=1.3, rng=rng, stretch=25)
    reflectance = rng.uniform(0.35, 0.65) + rng.uniform(0.05, 0.22) * rings + rng.uniform(0.01, 0.06) * fibre
    return stack_layers(reflectance, 0.3 * fibre)
