# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes made of strokes: scratches and cracks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.synthesis.masks.shapes.canvas import draw_strokes, trim_stamp
from anomalib_stage.synthesis.masks.shapes.curves import build_rotation, draw_walk, draw_wave, draw_widths, fit_extent

if TYPE_CHECKING:
    from anomalib_stage.synthesis.masks.shapes.canvas import Stamp

__all__ = ["draw_crack", "draw_scratch"]


def draw_scratch(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """One stroke, or a bundle of nearly parallel ones; sometimes broken."""
    count = int(np.clip(extent / 2.5, 6, 48))
    width = min(float(np.exp(rng.uniform(0.0, math.log(max(1.3, min(7.0, extent / 6)))))), extent / 3)
    copies = int(rng.integers(2, 6)) if rng.random() < 0.2 and extent >= 12 else 1
    width = min(width, 2.0) if copies > 1 else width
    spine = draw_walk(count, bend=float(rng.choice([0.02, 0.15, 0.5, 1.2])), jitter=rng.uniform(0, 0.08), rng=rng)
    spread = count * rng.uniform(0.04, 0.25)
    paths, pens = [], []
    for _ in range(copies):
        piece = spine + (0 if copies == 1 else rng.uniform(-0.5, 0.5, 2) * (spread, spread))
        paths.append(piece @ build_rotation(angle + 0.03 * rng.standard_normal() * (copies > 1)))
        pens.append(draw_widths(count + 1, width=width, rng=rng))
        if rng.random() < 0.25:
            gaps = draw_wave(count + 1, knots=9, rng=rng) < -0.45
            gaps[[0, -2]] = False
            pens[-1][gaps] = 0.0
    fitted = fit_extent(np.concatenate(paths), extent - min(width, extent / 2))
    return trim_stamp(draw_strokes(list(zip(np.split(fitted, copies), pens, strict=True)), extent), rng=rng)


def draw_crack(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """A jagged line of about one to three pixels with branches that leave it at steep angles."""
    count = int(np.clip(extent / 3, 6, 32))
    width = min(rng.uniform(1.0, 1.2 + min(2.5, extent / 60)), extent / 3)
    lines = [
        draw_walk(count, bend=rng.uniform(0.1, 0.8), jitter=rng.uniform(0.15, 0.6), rng=rng) @ build_rotation(angle)
    ]
    for _ in range(int(rng.integers(0, 6))):
        parent = lines[int(rng.integers(len(lines)))]
        length = int(rng.integers(3, max(4, count // 2)))
        turn = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.4)
        branch = draw_walk(length, bend=0.3, jitter=rng.uniform(0.15, 0.5), rng=rng) @ build_rotation(turn)
        lines.append(branch + parent[int(rng.integers(len(parent)))])
    fitted = fit_extent(np.concatenate(lines), extent - min(width, extent / 2))
    pieces = np.split(fitted, np.cumsum([len(line) for line in lines])[:-1])
    pens = [np.maximum(np.linspace(width, rng.uniform(0.3, 1) * width, len(line)), 1.0) for line in pieces]
    return trim_stamp(draw_strokes(list(zip(pieces, pens, strict=True)), extent), rng=rng)
