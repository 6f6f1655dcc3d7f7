# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes with an area: blobs, groups of spots, thresholded noise, and bites out of an edge."""

from __future__ import annotations

import math

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.shapes.canvas import Stamp, fill_outlines, trim_stamp
from anomalib_stage.synthesis.masks.shapes.curves import build_rotation, draw_outline, draw_wave, fit_extent

__all__ = ["draw_blob", "draw_edge_chip", "draw_perlin", "draw_spots"]


def draw_blob(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """A closed irregular outline, from a round pit to a ragged patch."""
    cells, _ = fill_outlines([fit_extent(draw_outline(rng=rng) @ build_rotation(angle), extent)], extent)
    return trim_stamp(cells, rng=rng)


def draw_spots(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """One to twelve small dots, spread over an elongated area."""
    count = int(rng.integers(1, 13)) if extent >= 8 else 1
    spread = rng.standard_normal((count, 2)) * (1.0, rng.uniform(0.2, 1.0)) @ build_rotation(angle)
    sizes = np.exp(rng.normal(math.log(rng.uniform(0.06, 0.3)), 0.5, count))
    dots = [centre + size * draw_outline(rng=rng, points=20) for centre, size in zip(spread, sizes, strict=True)]
    fitted = np.split(fit_extent(np.concatenate(dots), extent), count)
    small = [dot for dot in fitted if np.ptp(dot, axis=0).min() < 1.2]
    grown = [_grow_dot(dot) for dot in small] + [dot for dot in fitted if np.ptp(dot, axis=0).min() >= 1.2]
    cells, _ = fill_outlines(grown, extent)
    return trim_stamp(cells, rng=rng)


def draw_perlin(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """Smooth noise of two octaves above a threshold, inside a rotated ellipse."""
    grid = int(np.clip(extent, 8, 64))
    cells = int(rng.integers(3, 8))
    noise = sum(
        share * cv2.resize(rng.standard_normal((n, n)).astype(np.float32), (grid, grid), interpolation=cv2.INTER_CUBIC)
        for share, n in ((1.0, cells), (0.5, 2 * cells))
    )
    axis = np.linspace(-1, 1, grid)
    x, y = np.meshgrid(axis, axis)
    turned = np.stack([x, y], axis=-1) @ build_rotation(-angle)
    ellipse = 1 - turned[..., 0] ** 2 - (turned[..., 1] / rng.uniform(0.35, 1.0)) ** 2
    field = np.minimum(noise + rng.uniform(-0.2, 0.9), 4 * ellipse).astype(np.float32)
    field -= min(0.0, float(field.max()) - 0.05)
    # Crop to what is above the threshold, then bring it to its size: the mask is drawn at the image's resolution.
    left, top, width, height = cv2.boundingRect((field > 0).astype(np.uint8))
    field = field[top : top + height, left : left + width]
    scale = extent / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return trim_stamp(np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR) > 0), rng=rng)


def draw_edge_chip(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """A bite of width ``extent`` whose depth runs along ``angle``; the anchor lies on the object's edge."""
    count = int(np.clip(extent, 8, 40))
    along = np.linspace(-0.5, 0.5, count)
    arch = np.clip(1 - (2 * along) ** 2, 0, 1) ** rng.uniform(0.25, 0.8)
    coarse, fine = draw_wave(count, knots=5, rng=rng), draw_wave(count, knots=14, rng=rng)
    ragged = 1 + rng.uniform(0.1, 0.5) * coarse + rng.uniform(0, 0.25) * fine
    depth = rng.uniform(0.15, 0.7) * np.clip(arch * ragged, 0.02, 1.4)
    back = np.array([[0.5, -0.25], [-0.5, -0.25]])
    outline = np.concatenate([np.stack([along, depth], axis=1), back]) * max(extent, 1.0)
    cells, origin = fill_outlines([outline @ build_rotation(angle - math.pi / 2)], extent)
    row, column = np.clip(np.floor(-origin[::-1]).astype(int), 0, np.array(cells.shape) - 1)
    cells[row, column] = True
    return Stamp(cells, (int(row), int(column)))


def _grow_dot(dot: np.ndarray) -> np.ndarray:
    """Enlarge a dot thinner than a pixel so that at least one pixel remains of it."""
    middle = dot.mean(axis=0)
    return np.asarray(middle + (dot - middle) * np.maximum(1.2 / np.maximum(np.ptp(dot, axis=0), 0.1), 1.0))
