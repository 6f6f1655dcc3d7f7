# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Flat objects: a part with one border, and plates with holes and parts on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.rendering.surface_types.backdrop import draw_axes, draw_background, overlay
from anomalib_stage.rendering.surface_types.fields import draw_log_uniform, draw_noise_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.rendering.surface_types.fields import Layers

__all__ = ["draw_assembly", "draw_cutout"]


def _draw_outline(size: tuple[int, int], *, rng: np.random.Generator, reach: float) -> NDArray[np.uint8]:
    """Filled outline of a part: disc, nut, plate, slot or washer; 0 or 255 with a smooth border."""
    canvas = np.zeros(size, dtype=np.uint8)
    middle = np.array([rng.uniform(0.05, 0.95) * size[1], rng.uniform(0.05, 0.95) * size[0]])
    radius, turn = max(reach * rng.uniform(0.5, 1.0), 2.0), rng.uniform(0, 2 * math.pi)
    form = str(rng.choice(["disc", "polygon", "plate", "slot", "washer"]))
    place = (int(middle[0]), int(middle[1]))
    if form in {"disc", "washer"}:
        cv2.circle(canvas, place, int(radius), 255, -1, cv2.LINE_AA)
        if form == "washer":
            cv2.circle(canvas, place, max(int(radius * rng.uniform(0.3, 0.8)), 1), 0, -1, cv2.LINE_AA)
    elif form == "slot":
        far = middle + 2 * radius * np.array([math.cos(turn), math.sin(turn)])
        cv2.line(canvas, place, (int(far[0]), int(far[1])), 255, max(int(radius * 0.6), 2), cv2.LINE_AA)
    else:
        angles = turn + (np.arange(6) * math.pi / 3 if form == "polygon" else np.array([0.5, 2.6, 3.6, 5.8]))
        corners = middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 255, cv2.LINE_AA)
    return canvas


def draw_cutout(material: Layers, *, rng: np.random.Generator) -> Layers:
    """A flat part with one border: half plane, disc, ring or bar, its edge rounded."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = draw_axes(size, rng=rng)
    line = along + rng.uniform(-0.35, 0.35) * short
    radius = np.hypot(along - rng.uniform(-0.5, 0.5) * short, across - rng.uniform(-0.5, 0.5) * short)
    radius = radius - rng.uniform(0.3, 0.9) * short
    form = int(rng.integers(4))
    distance = (line, radius, np.abs(radius) - rng.uniform(6, 24), np.abs(line) - rng.uniform(8, 40))[form]
    distance = distance + rng.uniform(0, 1.5) * draw_noise_field(size, period=short, rng=rng)
    inside = np.clip(0.5 - distance, 0, 1)
    rim = np.exp(np.clip(distance, None, 0) / rng.uniform(1.5, 12))
    reflectance = overlay(inside, material[0] - rng.uniform(-0.2, 0.35) * rim, draw_background(size, rng=rng))
    return reflectance, np.asarray(material[1] * inside, dtype=np.float32)


def draw_assembly(material: Layers, *, rng: np.random.Generator) -> Layers:
    """A plate with holes, and nuts, washers and plates on it that throw shadows."""
    reflectance, height = material
    short = min(reflectance.shape)
    cast = rng.uniform(-0.03, 0.03, 2) * short
    for _ in range(int(rng.integers(1, 5))):
        mask = _draw_outline(reflectance.shape, rng=rng, reach=short * draw_log_uniform(rng, 0.12, 0.5))
        cover = mask.astype(np.float32) / np.float32(255.0)
        depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
        if rng.random() < 0.35:  # a hole: dark or the background, its wall lit
            level = rng.choice([rng.uniform(0, 0.15), rng.uniform(0, 1)])
            reflectance = overlay(cover, np.float32(level) + rng.uniform(-0.1, 0.4) * np.exp(-depth / 1.5), reflectance)
            height = height * (1 - cover)
            continue
        moved = cv2.warpAffine(cover, np.array([[1, 0, cast[0]], [0, 1, cast[1]]]), reflectance.shape[::-1])
        shadow = cv2.GaussianBlur(moved, (0, 0), max(0.015 * short, 0.5))
        bevel = np.minimum(depth, rng.uniform(1, 6)).astype(np.float32)
        top = rng.uniform(0.1, 0.95) + rng.uniform(0, 1) * (material[0] - float(material[0].mean()))
        reflectance = overlay(
            cover, np.asarray(top, dtype=np.float32), reflectance * (1 - rng.uniform(0.1, 0.6) * shadow)
        )
        height = height * (1 - 0.5 * cover) + rng.uniform(0.3, 1.2) * bevel
    return np.asarray(reflectance, dtype=np.float32), np.asarray(height, dtype=np.float32)
