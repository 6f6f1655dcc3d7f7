# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Round objects: tubes, rings, threads and tablets, mostly the light on a form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.rendering.surface_types.backdrop import draw_axes, draw_background, overlay, shade_cylinder
from anomalib_stage.rendering.surface_types.fields import build_grid, draw_log_uniform, draw_noise_field

if TYPE_CHECKING:
    from anomalib_stage.rendering.surface_types.fields import Layers

__all__ = ["draw_rings", "draw_tablet", "draw_thread", "draw_tube"]


def draw_tube(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Bottle, can, pipe: light runs round a cylinder whose sides may lie outside the frame."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = draw_axes(size, rng=rng)
    radius = short * draw_log_uniform(rng, 0.25, 1.5)
    if rng.random() < 0.4:  # a shoulder: the radius changes along the axis
        start, span = rng.uniform(-0.4, 0.4) * short, rng.uniform(0.1, 0.5) * short
        radius = radius * (1.0 - rng.uniform(0.05, 0.25) * (1 - np.tanh((along - start) / span * 2)))
    place = (across + rng.uniform(-0.6, 0.6) * np.mean(radius)) / radius
    inside = np.clip((1.0 - np.abs(place)) * radius + 0.5, 0, 1)
    body = material[0] * shade_cylinder(place, rng=rng, shine=int(rng.integers(4)))
    return overlay(inside, body, draw_background(size, rng=rng)), np.asarray(
        0.5 * material[1] * inside, dtype=np.float32
    )


def draw_rings(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Round part from above, such as a bottle's mouth or a bearing: steps and slopes that depend on the radius."""
    size, short = material[0].shape, min(material[0].shape)
    ys, xs = build_grid(size)
    ys, xs = ys - np.float32(rng.normal(0, 0.4) * short), xs - np.float32(rng.normal(0, 0.4) * short)
    radius = np.hypot(ys, xs) + np.float32(1e-3)
    reach = short * draw_log_uniform(rng, 0.5, 1.3)
    at = np.arange(int(reach) + 3, dtype=np.float32)
    knots = np.sort(rng.uniform(0, reach, int(rng.integers(3, 12))))
    levels = np.concatenate([rng.uniform(0, 1.1, len(knots)), [rng.choice([0.0, 1.0, rng.random()])]])
    steps, slopes = levels[np.searchsorted(knots, at)], np.interp(at, knots, levels[:-1])
    share = np.where(at < knots[-1], rng.uniform(0, 1), 1.0)
    profile = (share * steps + (1 - share) * slopes).astype(np.float32)[:, None]
    profile = cv2.GaussianBlur(profile, (1, 0), sigmaX=0.5, sigmaY=rng.uniform(0.5, 2.5)) if len(at) > 8 else profile
    reflectance = np.interp(radius, at, profile[:, 0])
    cos = (xs * math.cos(turn := rng.uniform(0, 6.28)) + ys * math.sin(turn)) / radius
    inside = radius < knots[-1]
    lobes = rng.uniform(0, 0.5) * (2 * cos * cos - 1 if rng.random() < 0.4 else cos)
    reflectance = reflectance * np.where(inside, (0.6 + 0.8 * material[0]) * (1 + lobes), 1.0)
    return np.asarray(reflectance, dtype=np.float32), np.asarray(0.7 * material[1] * inside, dtype=np.float32)


def draw_thread(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Screw, spring or cable before a background: a bar with a helix on it."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = draw_axes(size, rng=rng)
    across = across + rng.uniform(-0.3, 0.3) * short
    radius, pitch = short * rng.uniform(0.08, 0.4), draw_log_uniform(rng, 5, 20)
    lead = across / radius * np.float32(pitch * rng.uniform(0.2, 2))
    wave = np.cos((along + lead) * np.float32(2 * math.pi / pitch)) * np.abs(rng.uniform(0.5, 1.0))
    half = radius * (1 + min(0.3 * pitch / radius, 0.25) * wave)
    end = rng.uniform(-0.5, 0.5) * short
    if rng.random() < 0.5:  # a head, and a shank without thread
        half = np.where(along > end, radius * rng.uniform(1.3, 2.2), half)
    else:
        half = np.where(along > end + 0.3 * short, -1.0, half)
    place = across / np.maximum(half, 1.0)
    inside = np.clip(half - np.abs(across) + 0.5, 0, 1)
    body = (
        material[0]
        * shade_cylinder(place, rng=rng, shine=1)
        * (1 + rng.uniform(0.2, 0.7) * np.where(along > end, 0, wave))
    )
    return overlay(inside, body, draw_background(size, rng=rng)), np.asarray(
        0.5 * material[1] * inside, dtype=np.float32
    )


def draw_tablet(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Pill, capsule, biscuit, nut: a dome with specks before a background."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = draw_axes(size, rng=rng)
    long, wide = short * rng.uniform(0.3, 0.75), short * rng.uniform(0.25, 0.6)
    power = rng.uniform(2, 4)
    reach = (np.abs(along / long) ** power + np.abs(across / wide) ** power) ** (1 / power)
    reach = reach * (1 + rng.uniform(0, 0.04) * draw_noise_field(size, period=0.3 * short, rng=rng))
    inside = np.clip((1 - reach) * wide + 0.5, 0, 1)
    dome = np.sqrt(np.clip(1 - reach ** rng.uniform(2, 6), 0, 1))
    lamp = rng.uniform(-0.4, 0.4, 2)
    shade = rng.uniform(0.3, 0.7) + 0.5 * dome + (lamp[0] * along / long + lamp[1] * across / wide) * (1 - 0.5 * dome)
    specks = draw_noise_field(size, period=draw_log_uniform(rng, 2, 7), rng=rng) > rng.uniform(1.3, 2.5)
    body = material[0] * shade + rng.uniform(-0.5, 0.3) * cv2.blur(specks.astype(np.float32), (2, 2))
    return overlay(inside, body, draw_background(size, rng=rng)), np.asarray(
        0.6 * material[1] * inside, dtype=np.float32
    )
