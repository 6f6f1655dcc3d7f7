# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Patterns on a material: tracks, print, holes and tiles. Sizes are in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.rendering.surface_types.fields import (
    build_grid,
    draw_log_uniform,
    draw_noise_field,
    stack_layers,
    turn_frame,
)
from anomalib_stage.rendering.surface_types.materials import draw_material, draw_plain

if TYPE_CHECKING:
    from anomalib_stage.rendering.surface_types.fields import Layers

__all__ = ["draw_perforated", "draw_printed", "draw_tiled", "draw_tracks"]


def draw_tracks(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Circuit board: tracks, pads and holes, two levels."""
    canvas, far = np.zeros(size, dtype=np.uint8), 2 * max(size)
    width = round(draw_log_uniform(rng, 3, max(size) / 6 + 3))
    pitch, turn = round(width * rng.uniform(1.6, 3.5)), rng.random() < 0.5
    for at in range(int(rng.integers(pitch)) - pitch, far, pitch):
        bend, slope = int(rng.uniform(0, max(size))), int(rng.choice([-1, 0, 0, 1]))
        points = np.array([[at, -5], [at, bend], [at + slope * far, bend + far]], dtype=np.int32)
        if rng.random() < 0.8:
            cv2.polylines(canvas, [points[:, ::-1] if turn else points], isClosed=False, color=255, thickness=width)
    for _ in range(int(rng.poisson(2))):
        place = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        radius = max(round(width * rng.uniform(0.8, 1.8)), 2)
        cv2.circle(canvas, place, radius, 255, -1)
        cv2.circle(canvas, place, radius // 2, 0, -1 if rng.random() < 0.5 else 1)
    pattern = canvas.astype(np.float32) / 255.0
    low, high = sorted(rng.uniform(0, 1, 2).tolist()) if rng.random() < 0.4 else (0.0, 1.0)
    return stack_layers(low + (high - low) * (pattern if rng.random() < 0.6 else 1 - pattern), 0.5 * pattern)


def draw_printed(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Letters, digits and boxes printed on a plain ground."""
    reflectance, height = draw_plain(size, rng)
    for _ in range(int(rng.integers(1, 6))):
        level, scale = float(rng.uniform(0, 1)), draw_log_uniform(rng, 0.4, 2.0)
        ink = np.zeros(size, dtype=np.uint8)
        place = (int(rng.integers(-10, size[1])), int(rng.integers(0, size[0] + 10)))
        if rng.random() < 0.5:
            text = "".join(rng.choice(list("ABCDEHKLMNPRSTXZ0123456789-"), int(rng.integers(2, 9))))
            cv2.putText(ink, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(round(scale * 2), 1), cv2.LINE_AA)
        else:
            corner = (place[0] + int(rng.integers(4, size[1])), place[1] + int(rng.integers(4, size[0])))
            cv2.rectangle(ink, place, corner, 255, int(rng.choice([-1, 1, 2, 4])))
        cover = ink.astype(np.float32) / 255.0
        reflectance = reflectance * (1 - cover) + level * cover
    return stack_layers(reflectance, height)


@turn_frame
def draw_perforated(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """A sheet with holes in rows, before what lies behind."""
    base, height = draw_material(size, rng, among=("plain", "cast", "stone"))
    pitch, (ys, xs) = draw_log_uniform(rng, 8, 40), build_grid(size)
    shifted = xs + pitch / 2 * (np.floor(ys / pitch) % 2) if rng.random() < 0.6 else xs
    off = np.hypot(ys % pitch - pitch / 2, shifted % pitch - pitch / 2)
    hole = np.clip(rng.uniform(0.2, 0.38) * pitch - off + 0.5, 0, 1)
    behind = float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0, 1)]))
    return stack_layers(base + hole * (behind - base), height * (1 - hole) - rng.uniform(0.5, 3) * hole)


@turn_frame
def draw_tiled(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Tiles or bricks with joints between."""
    base, height = draw_material(size, rng, among=("plain", "stone", "cast"))
    pitch, gap, (ys, xs) = rng.uniform(24, 140, 2).tolist(), rng.uniform(0.5, 3), build_grid(size)
    rows = np.floor(ys / pitch[0])
    along = xs + float(rng.choice([0.0, pitch[1] / 2])) * (rows % 2)
    cols = np.floor(along / pitch[1])
    to_joint = np.minimum(*(p / 2 - np.abs(v % p - p / 2) for v, p in zip((ys, along), pitch, strict=True)))
    joint = np.clip(gap - to_joint + 0.5, 0, 1)
    own = rng.uniform(0, 0.06) * np.sin(rows * 12.9898 + cols * 78.233)  # each tile its own brightness
    mortar = rng.uniform(0, 0.9) + 0.03 * draw_noise_field(size, period=1.5, rng=rng)
    bevel = np.clip(to_joint / (gap + 2), 0, 1)
    return stack_layers((base + own) * (1 - joint) + mortar * joint, height * (1 - joint) + 1.5 * bevel)
