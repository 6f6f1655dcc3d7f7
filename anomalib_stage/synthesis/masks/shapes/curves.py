# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Random curves that shapes are made of.

Coordinates are ``(x, y)`` in pixels, as in OpenCV.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

__all__ = ["build_rotation", "draw_outline", "draw_walk", "draw_wave", "draw_widths", "fit_extent"]


def draw_wave(count: int, *, knots: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth random curve in about [-1, 1] with ``count`` samples and roughly ``knots`` bends."""
    values = rng.uniform(-1.0, 1.0, (1, max(knots, 2))).astype(np.float32)
    curve: np.ndarray = cv2.resize(values, (count, 1), interpolation=cv2.INTER_CUBIC)[0]
    return curve.astype(np.float64)


def draw_walk(count: int, *, bend: float, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a walk of ``count`` unit steps from the origin along x: ``bend`` turns it slowly, ``jitter`` kinks it."""
    heading = bend * draw_wave(count, knots=int(rng.integers(2, 6)), rng=rng) + jitter * rng.standard_normal(count)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def draw_widths(count: int, *, width: float, rng: np.random.Generator) -> np.ndarray:
    """Draw widths along a stroke: smoothly varying, thinner towards the ends, at least one pixel."""
    along = np.linspace(0.0, 1.0, count)
    ends = np.clip(np.minimum(along / rng.uniform(0.02, 0.5), (1 - along) / rng.uniform(0.02, 0.5)), 0, 1)
    return np.asarray(np.maximum(width * np.sqrt(ends) * (1 + 0.4 * draw_wave(count, knots=6, rng=rng)), 1.0))


def draw_outline(*, rng: np.random.Generator, points: int = 72) -> np.ndarray:
    """Draw a closed star-shaped outline around the origin, about unit radius: an ellipse with random harmonics."""
    theta = np.linspace(0.0, 2 * math.pi, points, endpoint=False)
    orders = np.arange(2, 14)
    sizes = rng.uniform(0.03, 0.45) * rng.standard_normal(len(orders)) / orders ** rng.uniform(0.9, 1.5)
    phases = rng.uniform(0, 2 * math.pi, len(orders))
    radius = np.maximum(1 + sizes @ np.cos(np.outer(orders, theta) + phases[:, None]), 0.25)
    aspect = rng.uniform(0.3, 1.0) if rng.random() < 0.7 else 1.0
    return np.stack([radius * np.cos(theta), aspect * radius * np.sin(theta)], axis=1)


def fit_extent(points: np.ndarray, extent: float) -> np.ndarray:
    """Scale ``(N, 2)`` points so that the longest side of their bounding box is ``extent``."""
    span = float((points.max(axis=0) - points.min(axis=0)).max())
    return points * (max(extent, 0.1) / max(span, 1e-6))


def build_rotation(angle: float) -> np.ndarray:
    """Return R for row vectors ``(x, y) @ R`` that turns the x axis by ``angle`` radians towards the y axis."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])
