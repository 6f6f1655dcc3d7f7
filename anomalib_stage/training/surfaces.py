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
from anomalib_stage.training.camera import photograph

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Layers = tuple[Field, Field]
    """Reflectance in about [0, 1], and height in pixels; both ``(H, W)``."""

__all__ = ["SURFACES", "noise_field", "render_surface"]


def noise_field(
    size: tuple[int, int], *, period: float, rng: np.random.Generator, octaves: int = 1, stretch: float = 1.0
) -> Field:
    """Smooth random field with zero mean and unit deviation.

    Args:
        size (tuple[int, int]): Height and width.
        period (float): Pixels between the nodes of the first octave; each further octave halves it and its weight.
        rng (np.random.Generator): Source of randomness.
        octaves (int): Number of octaves.
        stretch (float): How much longer the features are along the columns' direction.

    Returns:
        NDArray[np.float32]: ``size``.
    """
    total = np.zeros(size, dtype=np.float32)
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        rows, cols = (max(int(n / s) + 3, 3) for n, s in zip(size, (step, step * stretch), strict=True))
        nodes = rng.standard_normal((rows, cols), dtype=np.float32)
        if step <= 1.0 and stretch <= 1.0:
            layer = nodes[: size[0], : size[1]]
        else:
            # cut a window of random phase out of the enlarged nodes, so that node positions do not line up with the frame
            big = cv2.resize(
                nodes,
                (max(int(cols * step * stretch), size[1]), max(int(rows * step), size[0])),
                interpolation=cv2.INTER_CUBIC,
            )
            top, left = int(rng.integers(big.shape[0] - size[0] + 1)), int(rng.integers(big.shape[1] - size[1] + 1))
            layer = big[top : top + size[0], left : left + size[1]]
        total += layer * 0.55**octave
    return np.asarray((total - total.mean()) / max(float(total.std()), 1e-6), dtype=np.float32)


def _flat(size: tuple[int, int], level: float = 0.0) -> Field:
    return np.full(size, level, dtype=np.float32)


def _turned(draw: Callable[[tuple[int, int]], Layers], size: tuple[int, int], *, rng: np.random.Generator) -> Layers:
    """Draw on a larger square and cut the frame out of it at a random angle."""
    side = math.ceil(math.hypot(*size)) + 2
    layers = draw((side, side))
    quarter = rng.random() < 0.4
    angle = float(rng.integers(4) * 90 + rng.normal(0, 1.5)) if quarter else float(rng.uniform(0, 360))
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    matrix[:, 2] += np.array([size[1], size[0]]) / 2 - side / 2
    first, second = (cv2.warpAffine(x, matrix, (size[1], size[0]), borderMode=cv2.BORDER_REFLECT) for x in layers)
    return np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


# --- families: reflectance and height ---------------------------------------------------------------------------------


def _plain(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    tone = 0.02 * rng.random() * noise_field(size, period=_log_uniform(rng, 8, 80), rng=rng, octaves=2)
    height = rng.uniform(0, 0.5) * noise_field(size, period=_log_uniform(rng, 1.5, 6), rng=rng)
    return _flat(size, rng.uniform(0.12, 0.95)) + tone, height


def _brushed(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    def draw(frame: tuple[int, int]) -> Layers:
        lines = noise_field(frame, period=_log_uniform(rng, 1.0, 2.5), rng=rng, octaves=1, stretch=rng.uniform(15, 80))
        broad = noise_field(frame, period=_log_uniform(rng, 4, 12), rng=rng, stretch=20)
        return 0.5 + rng.uniform(0.01, 0.09) * lines + rng.uniform(0, 0.04) * broad, rng.uniform(0, 0.3) * lines

    return _turned(draw, size, rng=rng)


def _cast(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    mottle = noise_field(size, period=_log_uniform(rng, 3, 40), rng=rng, octaves=4)
    speck = noise_field(size, period=_log_uniform(rng, 1.2, 3), rng=rng)
    tone = rng.uniform(0.2, 0.7) + rng.uniform(0.02, 0.1) * mottle + rng.uniform(0, 0.05) * speck
    return tone.astype(np.float32), rng.uniform(0.2, 1.2) * mottle + rng.uniform(0, 0.5) * speck


def _machined(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    def draw(frame: tuple[int, int]) -> Layers:
        rows = np.arange(frame[0], dtype=np.float32)[:, None]
        bent = rows + rng.uniform(0, 3) * noise_field(frame, period=60, rng=rng)
        if rng.random() < 0.3:  # turned on a lathe: arcs
            centre = rng.uniform(-2.0, 1.0, 2) * frame[0]
            ys, xs = np.mgrid[: frame[0], : frame[1]].astype(np.float32)
            bent = np.hypot(ys - centre[0], xs - centre[1]).astype(np.float32)
        wave = np.sin(
            2 * math.pi * bent / _log_uniform(rng, 3, 16) + 0.4 * noise_field(frame, period=10, rng=rng, stretch=8)
        )
        return (0.5 + rng.uniform(0.01, 0.1) * wave).astype(np.float32), (rng.uniform(0, 0.8) * wave).astype(np.float32)

    return _turned(draw, size, rng=rng)


def _stone(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    base = noise_field(size, period=_log_uniform(rng, 10, 60), rng=rng, octaves=4)
    grains = noise_field(size, period=_log_uniform(rng, 1.5, 5), rng=rng)
    flecks = (grains > rng.uniform(1.0, 2.0)).astype(np.float32) * rng.choice([-1.0, 1.0]) * rng.uniform(0.05, 0.3)
    tone = rng.uniform(0.3, 0.8) + rng.uniform(0.03, 0.1) * base + rng.uniform(0.01, 0.06) * grains + flecks
    return tone.astype(np.float32), rng.uniform(0.1, 0.8) * (base + grains)


def _leather(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    cell = _log_uniform(rng, 4, 18)
    points = rng.uniform(0, 1, (max(int(size[0] * size[1] / cell**2), 4), 2)) * np.array(size)
    seeds = np.full(size, 255, dtype=np.uint8)
    seeds[points[:, 0].astype(int), points[:, 1].astype(int)] = 0
    distance = cv2.distanceTransform(seeds, cv2.DIST_L2, 5)
    bumps = (np.clip(1.0 - distance / cell, 0, 1) ** rng.uniform(0.5, 1.5)).astype(np.float32)
    bumps += 0.1 * noise_field(size, period=2, rng=rng)
    tone = rng.uniform(0.15, 0.6) + rng.uniform(0.03, 0.15) * bumps + 0.02 * noise_field(size, period=40, rng=rng)
    return tone.astype(np.float32), (rng.uniform(0.5, 0.25 * cell + 0.6) * bumps).astype(np.float32)


def _woven(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    def draw(frame: tuple[int, int]) -> Layers:
        pitch = np.array([_log_uniform(rng, 4, 16)] * 2) * rng.uniform(0.8, 1.25, 2)
        ys, xs = np.mgrid[: frame[0], : frame[1]].astype(np.float32)
        ys += rng.uniform(0, 0.15) * pitch[0] * noise_field(frame, period=30, rng=rng, octaves=2)
        xs += rng.uniform(0, 0.15) * pitch[1] * noise_field(frame, period=30, rng=rng, octaves=2)
        warp, weft = np.abs(np.sin(math.pi * xs / pitch[1])), np.abs(np.sin(math.pi * ys / pitch[0]))
        over = (np.floor(xs / pitch[1]) + np.floor(ys / pitch[0])) % 2
        height = np.where(over > 0, warp * (0.5 + 0.5 * weft), weft * (0.5 + 0.5 * warp))
        height = (height + 0.08 * noise_field(frame, period=2, rng=rng)).astype(np.float32)
        tones = rng.uniform(0.15, 0.8) + rng.uniform(-0.15, 0.15) * over + rng.uniform(0.05, 0.3) * height
        return tones.astype(np.float32), (0.15 * float(pitch.min()) * height).astype(np.float32)

    return _turned(draw, size, rng=rng)


def _wood(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    def draw(frame: tuple[int, int]) -> Layers:
        along = noise_field(frame, period=_log_uniform(rng, 15, 50), rng=rng, stretch=6, octaves=2)
        rings = np.sin(
            2 * math.pi * (np.arange(frame[0], dtype=np.float32)[:, None] / _log_uniform(rng, 8, 40) + 0.5 * along)
        )
        fibre = noise_field(frame, period=1.3, rng=rng, stretch=25)
        tone = rng.uniform(0.35, 0.65) + rng.uniform(0.03, 0.12) * rings + rng.uniform(0.01, 0.06) * fibre
        return tone.astype(np.float32), 0.3 * fibre

    return _turned(draw, size, rng=rng)


def _tracks(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Circuit board: tracks, pads and holes, two levels."""
    canvas = np.zeros(size, dtype=np.uint8)
    width = round(_log_uniform(rng, 3, max(size) / 6))
    pitch = round(width * rng.uniform(1.6, 3.5))
    turned = rng.random() < 0.5
    for at in range(int(rng.integers(pitch)) - pitch, 2 * max(size), pitch):
        if rng.random() < 0.2:
            continue
        bend, slope = int(rng.uniform(0, max(size))), int(rng.choice([-1, 0, 0, 1]))
        far = 2 * max(size)
        points = np.array([[at, -5], [at, bend], [at + slope * far, bend + far]], dtype=np.int32)
        cv2.polylines(canvas, [points[:, ::-1] if turned else points], isClosed=False, color=255, thickness=width)
    for _ in range(int(rng.poisson(2))):
        place = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        radius = max(round(width * rng.uniform(0.8, 1.8)), 2)
        cv2.circle(canvas, place, radius, 255, -1)
        if rng.random() < 0.5:
            cv2.circle(canvas, place, max(radius // 2, 1), 0, -1)
    pattern = canvas.astype(np.float32) / 255.0
    low, high = sorted(rng.uniform(0, 1, 2)) if rng.random() < 0.4 else (0.0, 1.0)
    return np.asarray(
        low + (high - low) * (pattern if rng.random() < 0.6 else 1 - pattern), dtype=np.float32
    ), 0.5 * pattern


def _printed(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    tone, height = _plain(size, rng)
    for _ in range(int(rng.integers(1, 6))):
        level, scale = float(rng.uniform(0, 1)), _log_uniform(rng, 0.4, 2.0)
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
    return tone.astype(np.float32), height


def _object(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Part of an object with a sharp border before a background."""
    inner, height = SURFACES[str(rng.choice(["plain", "brushed_metal", "cast", "machined", "stone"]))](size, rng)
    outline = noise_field(size, period=max(size), rng=rng)
    ys, xs = np.mgrid[: size[0], : size[1]].astype(np.float32)
    angle, offset = rng.uniform(0, 2 * math.pi), rng.uniform(-0.35, 0.35) * min(size)
    line = (xs - size[1] / 2) * math.cos(angle) + (ys - size[0] / 2) * math.sin(angle) + offset
    form = str(rng.choice(["line", "disc", "ring", "bar"]))
    radius = np.hypot(xs - size[1] * rng.uniform(0, 1), ys - size[0] * rng.uniform(0, 1)) - rng.uniform(0.3, 0.9) * min(
        size
    )
    distance = {
        "line": line,
        "disc": radius,
        "ring": np.abs(radius) - rng.uniform(6, 24),
        "bar": np.abs(line) - rng.uniform(8, 40),
    }[form]
    distance = distance + rng.uniform(0, 1.5) * outline
    inside = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    # the edge of the object is rounded: shade towards it
    rim = np.exp(-np.clip(-distance, 0, None) / rng.uniform(1.5, 12)).astype(np.float32)
    ground = rng.uniform(0, 1) + 0.02 * noise_field(size, period=30, rng=rng)
    tone = inside * (inner - rng.uniform(-0.2, 0.35) * rim) + (1 - inside) * ground
    return tone.astype(np.float32), (height * inside).astype(np.float32)


def _perforated(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    def draw(frame: tuple[int, int]) -> Layers:
        base, height = SURFACES[str(rng.choice(["plain", "cast", "brushed_metal"]))](frame, rng)
        pitch = _log_uniform(rng, 8, 40)
        ys, xs = np.mgrid[: frame[0], : frame[1]].astype(np.float32)
        cells = np.stack([(ys / pitch) % 1 - 0.5, ((xs + pitch / 2 * (np.floor(ys / pitch) % 2)) / pitch) % 1 - 0.5])
        hole = np.clip((rng.uniform(0.2, 0.38) - np.hypot(*cells)) * pitch + 0.5, 0, 1)
        return (base * (1 - hole) + rng.uniform(0, 1) * hole).astype(np.float32), (height - 1.5 * hole).astype(
            np.float32
        )

    return _turned(draw, size, rng=rng)


def _tiled(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    def draw(frame: tuple[int, int]) -> Layers:
        base, height = SURFACES[str(rng.choice(["plain", "stone", "cast", "wood"]))](frame, rng)
        pitch, gap = rng.uniform(20, 120, 2), rng.uniform(1, 4)
        ys, xs = np.mgrid[: frame[0], : frame[1]].astype(np.float32)
        to_joint = np.minimum(*(np.abs((v + 7) % p - p / 2) for v, p in ((ys, pitch[0]), (xs, pitch[1]))))
        joint = np.clip(gap - to_joint + 0.5, 0, 1)
        return (base * (1 - joint) + rng.uniform(0, 0.9) * joint).astype(np.float32), (height - gap * joint).astype(
            np.float32
        )

    return _turned(draw, size, rng=rng)


SURFACES: dict[str, Callable[[tuple[int, int], np.random.Generator], Layers]] = {
    "plain": _plain,
    "brushed_metal": _brushed,
    "cast": _cast,
    "machined": _machined,
    "stone": _stone,
    "leather": _leather,
    "woven": _woven,
    "wood": _wood,
    "tracks": _tracks,
    "printed": _printed,
    "object": _object,
    "perforated": _perforated,
    "tiled": _tiled,
}
"""Surface families."""

_WEIGHTS = np.array([2, 2, 2.5, 1.5, 1.5, 1, 1.2, 1, 1.2, 0.8, 2, 0.7, 0.8])


def render_surface(
    size: tuple[int, int], *, rng: np.random.Generator, family: str | None = None
) -> NDArray[np.float32]:
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
    name = str(rng.choice(list(SURFACES), p=_WEIGHTS / _WEIGHTS.sum())) if family is None else family
    if name not in SURFACES:
        msg = f"unknown surface family {name!r}; known are {', '.join(SURFACES)}"
        raise InputError(msg)
    tone, height = SURFACES[name](size, rng)
    return photograph(tone, height, rng=rng)
