# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered good surfaces: what an inspection camera sees when nothing is wrong.

A family draws what the surface is made of: a reflectance map and a height map. One camera then photographs them all:
lighting of the height map, uneven illumination, highlight, colour, blur, grain, compression. Sizes below are in pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.camera import photograph
from anomalib_stage.rendering.surface_light import FORMS, cells, grid, layers, log_uniform, noise_field, turned

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.surface_light import Field, Layers

__all__ = ["SURFACES", "render_surface"]


# --- families: reflectance and height ---------------------------------------------------------------------------------


def _plain(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    tone = 0.02 * rng.random() * noise_field(size, period=log_uniform(rng, 8, 80), rng=rng, octaves=2)
    height = rng.uniform(0, 0.5) * noise_field(size, period=log_uniform(rng, 1.5, 6), rng=rng)
    return layers(rng.uniform(0.12, 0.95) + tone, height)


@turned
def _brushed_metal(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    lines = noise_field(size, period=log_uniform(rng, 1.0, 2.5), rng=rng, octaves=1, stretch=rng.uniform(15, 80))
    broad = noise_field(size, period=log_uniform(rng, 4, 12), rng=rng, stretch=20)
    tone = rng.uniform(0.3, 0.8) + rng.uniform(0.01, 0.09) * lines + rng.uniform(0, 0.04) * broad
    return layers(tone, rng.uniform(0, 0.3) * lines)


def _cast(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    mottle = noise_field(size, period=log_uniform(rng, 3, 40), rng=rng, octaves=4)
    speck = noise_field(size, period=log_uniform(rng, 1.2, 3), rng=rng)
    tone = rng.uniform(0.2, 0.7) + rng.uniform(0.02, 0.1) * mottle + rng.uniform(0, 0.05) * speck
    return layers(tone, rng.uniform(0.2, 1.2) * mottle + rng.uniform(0, 0.5) * speck)


@turned
def _machined(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Milled, turned or ground: lines of one pitch whose depth changes from line to line."""
    ys, xs = grid(size)
    if rng.random() < 0.4:  # turned on a lathe, or the arcs of a mill
        at = np.hypot(ys - rng.uniform(-1.5, 0.5) * size[0], xs - rng.uniform(-1.5, 0.5) * size[1])
    else:
        at = ys + rng.uniform(0, 3) * noise_field(size, period=60, rng=rng)
    pitch = log_uniform(rng, 2.5, 14)
    depth = noise_field((size[0] * 4, 1), period=pitch, rng=rng)[:, 0]
    depth = np.interp(at - at.min(), np.arange(len(depth)), depth).astype(np.float32)
    wave = np.sin(at * np.float32(2 * math.pi / pitch)) * (1 + rng.uniform(0, 0.6) * depth) + 0.5 * depth
    wave = wave + rng.uniform(0, 0.6) * noise_field(size, period=2, rng=rng)
    return layers(0.5 + rng.uniform(0.01, 0.08) * wave, rng.uniform(0, 0.7) * wave)


def _stone(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    base = noise_field(size, period=log_uniform(rng, 10, 60), rng=rng, octaves=4)
    grains = noise_field(size, period=log_uniform(rng, 1.5, 5), rng=rng)
    flecks = rng.uniform(-0.3, 0.3) * (grains > rng.uniform(1.0, 2.0))
    tone = rng.uniform(0.3, 0.8) + rng.uniform(0.03, 0.1) * base + rng.uniform(0.01, 0.06) * grains + flecks
    return layers(tone, rng.uniform(0.1, 0.8) * (base + grains))


def _leather(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    cell = log_uniform(rng, 4, 16)
    near, _ = cells(size, cell, rng=rng)
    bumps = 1.0 - np.clip(near / np.float32(0.8 * cell), 0, 1) ** np.float32(rng.uniform(1.2, 2.5))
    bumps = cv2.GaussianBlur(bumps, (0, 0), 0.07 * cell + 0.4)
    tone = rng.uniform(0.15, 0.6) + rng.uniform(0.03, 0.15) * bumps + 0.02 * noise_field(size, period=40, rng=rng)
    fine = 0.1 * noise_field(size, period=1.7, rng=rng)
    return layers(tone, rng.uniform(0.5, 0.2 * cell + 0.6) * bumps + fine)


@turned
def _grains(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Pellets, seeds, granulate: packed domes, each of its own tone, dark gaps between."""
    cell, squeeze = log_uniform(rng, 6, 24), rng.uniform(1.0, 2.2)
    wide = max(int(size[1] / squeeze), 8)
    near, label = cells((size[0], wide), cell, rng=rng)
    own = rng.standard_normal(int(label.max()) + 1, dtype=np.float32)[label]
    dome = np.sqrt(np.clip(1.0 - (near / np.float32(0.62 * cell)) ** 2, 0, 1))
    tone = (rng.uniform(0.3, 0.7) + rng.uniform(0, 0.1) * own) * (rng.uniform(0.1, 0.7) + dome)
    tone = cv2.GaussianBlur(tone.astype(np.float32), (0, 0), 0.5)
    big = (size[1], size[0])
    return cv2.resize(tone, big), cv2.resize(dome * np.float32(rng.uniform(0.1, 0.3) * cell), big)


def _fibres(size: tuple[int, int], rng: np.random.Generator) -> Layers:
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
    tone = rng.uniform(0.2, 0.85) + rng.uniform(0.01, 0.12) * pile + 0.02 * noise_field(size, period=30, rng=rng)
    return layers(tone, rng.uniform(0, 1.0) * pile)


@turned
def _mesh(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Wire grid before a light or dark background; wires cross over and under."""
    pitch = log_uniform(rng, 8, 48)
    wire = pitch * rng.uniform(0.1, 0.3)
    bend = [rng.uniform(0, 0.08) * pitch * noise_field(size, period=2 * pitch, rng=rng) for _ in range(2)]
    at = [v + b for v, b in zip(grid(size), bend, strict=True)]
    off = [np.abs(v % pitch - pitch / 2) for v in at]
    over = np.cos(at[0] * np.float32(math.pi / pitch)) * np.cos(at[1] * np.float32(math.pi / pitch))
    dome = [np.sqrt(np.clip(1 - (d / wire) ** 2, 0, 1)) for d in off]
    height = np.maximum(dome[0] * (1 + 0.3 * over), dome[1] * (1 - 0.3 * over))
    cover = np.clip(wire - np.minimum(*off) + 0.5, 0, 1)
    metal = rng.uniform(0.2, 0.9) * (rng.uniform(0.2, 0.8) + 0.5 * height)
    ground = rng.uniform(0, 1) + rng.uniform(0, 0.06) * noise_field(size, period=30, rng=rng)
    return layers(ground + cover * (metal - ground), wire * rng.uniform(0.2, 0.6) * height)


def _glass(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Glass, foil, lacquer: smooth folds of reflected light, lamps mirrored in it."""
    wavy = noise_field(size, period=log_uniform(rng, 0.6, 3) * min(size), rng=rng)
    ys, xs = grid(size)
    bend = wavy + (rng.normal(0, 1.5) * ys + rng.normal(0, 1.5) * xs) / np.float32(max(size))
    folds = np.sin(rng.uniform(0.5, 2.5) * bend + rng.uniform(0, 6.28))
    past = bend - rng.uniform(-1.5, 1.5)  # a reflection: one sharp side, one that fades
    lamp = np.exp(-np.clip(past, 0, None) / rng.uniform(0.2, 1.5)) * np.clip(past / rng.uniform(0.02, 0.4) + 0.5, 0, 1)
    tone = rng.uniform(0.15, 0.85) + rng.uniform(0.03, 0.25) * folds + rng.uniform(-0.3, 0.5) * lamp
    return layers(tone, 0.1 * noise_field(size, period=20, rng=rng))


@turned
def _woven(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Cloth: threads over and under each other, in plain or twill order."""
    scale = log_uniform(rng, 3, 16)
    pitch = [scale * rng.uniform(0.8, 1.25) for _ in range(2)]
    shake = [p * rng.uniform(0, 0.2) * noise_field(size, period=25, rng=rng) for p in pitch]
    ys, xs = ((v + s) / p for v, s, p in zip(grid(size), shake, pitch, strict=True))
    row, col = np.floor(ys), np.floor(xs)
    across, along = 2 * (xs - col) - 1, 2 * (ys - row) - 1
    over = (col + row) % 2 < 1 if rng.random() < 0.6 else (col + row) % 4 < 2
    dome = 1 - np.where(over, across, along) ** 2 * 0.9
    dome = dome * (1 - rng.uniform(0.1, 0.5) * np.where(over, along, across) ** 2)
    fine = noise_field(size, period=1.6, rng=rng)
    height = dome + rng.uniform(0.02, 0.15) * fine
    tone = rng.uniform(0.15, 0.7) + rng.uniform(-0.12, 0.12) * over + rng.uniform(0.05, 0.3) * dome
    return layers(tone + rng.uniform(0.01, 0.05) * fine, 0.15 * min(pitch) * height)


@turned
def _wood(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    along = noise_field(size, period=log_uniform(rng, 15, 50), rng=rng, stretch=6, octaves=2)
    turns = grid(size)[0] / log_uniform(rng, 8, 40) + rng.uniform(0.2, 1.0) * along
    rings = np.abs(np.mod(turns, 1.0)) ** 2 - 0.3 if rng.random() < 0.5 else 0.5 * np.sin(6.283 * turns)
    fibre = noise_field(size, period=1.3, rng=rng, stretch=25)
    tone = rng.uniform(0.35, 0.65) + rng.uniform(0.05, 0.22) * rings + rng.uniform(0.01, 0.06) * fibre
    return layers(tone, 0.3 * fibre)


def _tracks(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Circuit board: tracks, pads and holes, two levels."""
    canvas, far = np.zeros(size, dtype=np.uint8), 2 * max(size)
    width = round(log_uniform(rng, 3, max(size) / 6 + 3))
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
    return layers(low + (high - low) * (pattern if rng.random() < 0.6 else 1 - pattern), 0.5 * pattern)


def _printed(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    tone, height = _plain(size, rng)
    for _ in range(int(rng.integers(1, 6))):
        level, scale = float(rng.uniform(0, 1)), log_uniform(rng, 0.4, 2.0)
        ink = np.zeros(size, dtype=np.uint8)
        place = (int(rng.integers(-10, size[1])), int(rng.integers(0, size[0] + 10)))
        if rng.random() < 0.5:
            text = "".join(rng.choice(list("ABCDEHKLMNPRSTXZ0123456789-"), int(rng.integers(2, 9))))
            cv2.putText(ink, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(round(scale * 2), 1), cv2.LINE_AA)
        else:
            corner = (place[0] + int(rng.integers(4, size[1])), place[1] + int(rng.integers(4, size[0])))
            cv2.rectangle(ink, place, corner, 255, int(rng.choice([-1, 1, 2, 4])))
        cover = ink.astype(np.float32) / 255.0
        tone = tone * (1 - cover) + level * cover
    return layers(tone, height)


def _object(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Part of an object with sharp borders before a background."""
    form = str(rng.choice(list(FORMS)))
    flat = ("plain", "brushed_metal", "cast", "machined", "stone") if form in {"cutout", "assembly"} else ()
    return FORMS[form](_material(size, rng, among=("plain", "plain", "plain", "cast", *flat)), rng=rng)


def _material(size: tuple[int, int], rng: np.random.Generator, *, among: tuple[str, ...]) -> Layers:
    return SURFACES[str(rng.choice(among))](size, rng)


@turned
def _perforated(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    base, height = _material(size, rng, among=("plain", "cast", "stone"))
    pitch, (ys, xs) = log_uniform(rng, 8, 40), grid(size)
    shifted = xs + pitch / 2 * (np.floor(ys / pitch) % 2) if rng.random() < 0.6 else xs
    off = np.hypot(ys % pitch - pitch / 2, shifted % pitch - pitch / 2)
    hole = np.clip(rng.uniform(0.2, 0.38) * pitch - off + 0.5, 0, 1)
    behind = float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0, 1)]))
    return layers(base + hole * (behind - base), height * (1 - hole) - rng.uniform(0.5, 3) * hole)


@turned
def _tiled(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    base, height = _material(size, rng, among=("plain", "stone", "cast"))
    pitch, gap, (ys, xs) = rng.uniform(24, 140, 2).tolist(), rng.uniform(0.5, 3), grid(size)
    rows = np.floor(ys / pitch[0])
    along = xs + float(rng.choice([0.0, pitch[1] / 2])) * (rows % 2)
    cols = np.floor(along / pitch[1])
    to_joint = np.minimum(*(p / 2 - np.abs(v % p - p / 2) for v, p in zip((ys, along), pitch, strict=True)))
    joint = np.clip(gap - to_joint + 0.5, 0, 1)
    own = rng.uniform(0, 0.06) * np.sin(rows * 12.9898 + cols * 78.233)  # each tile its own tone
    mortar = rng.uniform(0, 0.9) + 0.03 * noise_field(size, period=1.5, rng=rng)
    bevel = np.clip(to_joint / (gap + 2), 0, 1)
    return layers((base + own) * (1 - joint) + mortar * joint, height * (1 - joint) + 1.5 * bevel)


SURFACES: dict[str, Callable[[tuple[int, int], np.random.Generator], Layers]] = {
    "plain": _plain,
    "brushed_metal": _brushed_metal,
    "cast": _cast,
    "machined": _machined,
    "stone": _stone,
    "leather": _leather,
    "grains": _grains,
    "fibres": _fibres,
    "woven": _woven,
    "mesh": _mesh,
    "wood": _wood,
    "tracks": _tracks,
    "printed": _printed,
    "glass": _glass,
    "object": _object,
    "perforated": _perforated,
    "tiled": _tiled,
}
"""Surface families: functions of size and random stream that return reflectance and height."""

_OFTEN = {"plain": 2.0, "brushed_metal": 2.0, "cast": 2.5, "machined": 1.5, "stone": 1.5, "tracks": 1.2, "object": 4.0}
_SHARES = np.array([_OFTEN.get(family, 0.8) for family in SURFACES])


def render_surface(size: tuple[int, int], *, rng: np.random.Generator, family: str | None = None) -> Field:
    """Render a good surface.

    Args:
        size (tuple[int, int]): Height and width in pixels, at least 16 each.
        rng (np.random.Generator): Source of randomness; the same stream gives the same picture.
        family (str | None): One of ``SURFACES``; None draws one.

    Returns:
        NDArray[np.float32]: ``(H, W, 3)`` RGB in [0, 1]; three equal channels in about half of the draws.

    Raises:
        InputError: If the family is unknown or the size is below 16.
    """
    if min(size) < 16:
        msg = f"surface of {size} px asked for; at least 16 px a side"
        raise InputError(msg)
    name = str(rng.choice(list(SURFACES), p=_SHARES / _SHARES.sum())) if family is None else family
    if name not in SURFACES:
        msg = f"unknown surface family {name!r}; known are {', '.join(SURFACES)}"
        raise InputError(msg)
    tone, height = SURFACES[name](size, rng)
    if rng.random() < 0.35:  # soft light, weak texture: nearly uniform
        contrast = rng.uniform(0.1, 0.8)
        tone, height = tone.mean() + contrast * (tone - tone.mean()), contrast * height
    return photograph(tone, height, rng=rng)
