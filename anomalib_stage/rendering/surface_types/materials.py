# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Materials that other surfaces and objects are made of: plain, metal and stone. Sizes are in pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.rendering.surface_types.fields import (
    build_grid,
    draw_log_uniform,
    draw_noise_field,
    stack_layers,
    turn_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.surface_types.fields import Layers

__all__ = ["MATERIALS", "draw_brushed_metal", "draw_cast", "draw_machined", "draw_material", "draw_plain", "draw_stone"]


def draw_plain(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Paint, plastic, paper: nearly even."""
    reflectance = 0.02 * rng.random() * draw_noise_field(size, period=draw_log_uniform(rng, 8, 80), rng=rng, octaves=2)
    height = rng.uniform(0, 0.5) * draw_noise_field(size, period=draw_log_uniform(rng, 1.5, 6), rng=rng)
    return stack_layers(rng.uniform(0.12, 0.95) + reflectance, height)


@turn_frame
def draw_brushed_metal(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Brushed metal: fine lines along one direction."""
    lines = draw_noise_field(
        size, period=draw_log_uniform(rng, 1.0, 2.5), rng=rng, octaves=1, stretch=rng.uniform(15, 80)
    )
    broad = draw_noise_field(size, period=draw_log_uniform(rng, 4, 12), rng=rng, stretch=20)
    reflectance = rng.uniform(0.3, 0.8) + rng.uniform(0.01, 0.09) * lines + rng.uniform(0, 0.04) * broad
    return stack_layers(reflectance, rng.uniform(0, 0.3) * lines)


def draw_cast(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Cast or moulded: mottled and specked."""
    mottle = draw_noise_field(size, period=draw_log_uniform(rng, 3, 40), rng=rng, octaves=4)
    speck = draw_noise_field(size, period=draw_log_uniform(rng, 1.2, 3), rng=rng)
    reflectance = rng.uniform(0.2, 0.7) + rng.uniform(0.02, 0.1) * mottle + rng.uniform(0, 0.05) * speck
    return stack_layers(reflectance, rng.uniform(0.2, 1.2) * mottle + rng.uniform(0, 0.5) * speck)


@turn_frame
def draw_machined(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Milled, turned or ground: lines of one pitch whose depth changes from line to line."""
    ys, xs = build_grid(size)
    if rng.random() < 0.4:  # turned on a lathe, or the arcs of a mill
        at = np.hypot(ys - rng.uniform(-1.5, 0.5) * size[0], xs - rng.uniform(-1.5, 0.5) * size[1])
    else:
        at = ys + rng.uniform(0, 3) * draw_noise_field(size, period=60, rng=rng)
    pitch = draw_log_uniform(rng, 2.5, 14)
    depth = draw_noise_field((size[0] * 4, 1), period=pitch, rng=rng)[:, 0]
    depth = np.interp(at - at.min(), np.arange(len(depth)), depth).astype(np.float32)
    wave = np.sin(at * np.float32(2 * math.pi / pitch)) * (1 + rng.uniform(0, 0.6) * depth) + 0.5 * depth
    wave = wave + rng.uniform(0, 0.6) * draw_noise_field(size, period=2, rng=rng)
    return stack_layers(0.5 + rng.uniform(0.01, 0.08) * wave, rng.uniform(0, 0.7) * wave)


def draw_stone(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Stone: grains and flecks on broad clouds."""
    base = draw_noise_field(size, period=draw_log_uniform(rng, 10, 60), rng=rng, octaves=4)
    grains = draw_noise_field(size, period=draw_log_uniform(rng, 1.5, 5), rng=rng)
    flecks = rng.uniform(-0.3, 0.3) * (grains > rng.uniform(1.0, 2.0))
    reflectance = rng.uniform(0.3, 0.8) + rng.uniform(0.03, 0.1) * base + rng.uniform(0.01, 0.06) * grains + flecks
    return stack_layers(reflectance, rng.uniform(0.1, 0.8) * (base + grains))


MATERIALS: dict[str, Callable[[tuple[int, int], np.random.Generator], Layers]] = {
    "plain": draw_plain,
    "brushed_metal": draw_brushed_metal,
    "cast": draw_cast,
    "machined": draw_machined,
    "stone": draw_stone,
}
"""What patterns and objects are made of: functions of size and random stream."""


def draw_material(size: tuple[int, int], rng: np.random.Generator, *, among: tuple[str, ...]) -> Layers:
    """Draw the layers of one of some materials."""
    return MATERIALS[str(rng.choice(among))](size, rng)
