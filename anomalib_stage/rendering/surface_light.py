# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Objects before a background: pictures that are mostly the light on a form, not a material.

A form takes the layers of a material and returns the layers of an object made of it, of which the frame often shows
only a part. The random fields that materials and forms are drawn from are here too. Sizes are in pixels.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.floating]
    Field = NDArray[np.float32]
    Layers = tuple[Field, Field]
    """Reflectance in about [0, 1], and height in pixels; both ``(H, W)``."""

__all__ = ["FORMS", "cells", "grid", "layers", "log_uniform", "noise_field", "turned"]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between two bounds, each doubling equally likely."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def grid(size: tuple[int, int]) -> tuple[Field, Field]:
    """Return rows ``(H, 1)`` and columns ``(1, W)`` counted from the centre of the frame."""
    ys = np.arange(size[0], dtype=np.float32)[:, None] - np.float32(size[0] / 2)
    return ys, np.arange(size[1], dtype=np.float32)[None, :] - np.float32(size[1] / 2)


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
        total += np.float32(0.55**octave) * _octave(size, (step, step * stretch), rng=rng)
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), dtype=np.float32)


def _octave(size: tuple[int, int], steps: tuple[float, float], *, rng: np.random.Generator) -> Field:
    """One octave; nodes far apart are first enlarged on a coarse frame, so that the cost does not grow with them."""
    shrink = [max(step / 6.0, 1.0) for step in steps]
    coarse = [math.ceil(n / s) for n, s in zip(size, shrink, strict=True)]
    near = [step / s for step, s in zip(steps, shrink, strict=True)]
    nodes = [math.ceil(n / s) + 2 for n, s in zip(coarse, near, strict=True)]
    field: Array = rng.standard_normal(nodes, dtype=np.float32)
    big = [max(int(n * s), c) for n, s, c in zip(nodes, near, coarse, strict=True)]
    if big != nodes:
        field = np.asarray(cv2.resize(field, (big[1], big[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    # a window of random phase, so that node positions do not line up with the frame
    top, left = (int(rng.integers(b - c + 1)) for b, c in zip(field.shape, coarse, strict=True))
    field = field[top : top + coarse[0], left : left + coarse[1]]
    if coarse != list(size):
        field = np.asarray(cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    return np.asarray(field, dtype=np.float32)


def layers(tone: ArrayLike, height: ArrayLike) -> Layers:
    """Return both layers as float32."""
    return np.asarray(tone, dtype=np.float32), np.asarray(height, dtype=np.float32)


def turned(draw: Callable[[tuple[int, int], np.random.Generator], Layers]) -> Callable[..., Layers]:
    """Have a function draw on a frame just large enough, and cut its picture out at a random angle, often upright."""

    @functools.wraps(draw)
    def cut(size: tuple[int, int], rng: np.random.Generator) -> Layers:
        quarter = rng.random() < 0.4
        angle = float(rng.integers(4) * 90 + rng.normal(0, 1.5) if quarter else rng.uniform(0, 360))
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        frame = (math.ceil(size[0] * cos + size[1] * sin) + 2, math.ceil(size[0] * sin + size[1] * cos) + 2)
        matrix = cv2.getRotationMatrix2D((frame[1] / 2, frame[0] / 2), angle, 1.0)
        matrix[:, 2] += (np.array(size[::-1]) - np.array(frame[::-1])) / 2
        tone, height = (cv2.warpAffine(x, matrix, size[::-1], borderMode=cv2.BORDER_REFLECT) for x in draw(frame, rng))
        return layers(tone, height)

    return cut


def cells(size: tuple[int, int], cell: float, *, rng: np.random.Generator) -> tuple[Field, NDArray[np.int32]]:
    """Distance to the nearest of the points of a shaken grid, and that point's number."""
    pad = math.ceil(cell)
    frame = (size[0] + 2 * pad, size[1] + 2 * pad)
    counts = [max(int(n / cell), 1) for n in frame]
    places = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1).reshape(-1, 2)
    places = ((places + rng.uniform(0.0, 1.0, places.shape)) * cell).astype(int)
    free = np.full(frame, 255, dtype=np.uint8)
    free[places[:, 0], places[:, 1]] = 0
    near, label = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    window = (slice(pad, pad + size[0]), slice(pad, pad + size[1]))
    return np.asarray(near[window], dtype=np.float32), np.asarray(label[window], dtype=np.int32)


# --- shared by the forms ----------------------------------------------------------------------------------------------


def _axes(size: tuple[int, int], *, rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates along and across an axis through the frame, at times upright."""
    ys, xs = grid(size)
    angle = rng.integers(2) * math.pi / 2 + rng.normal(0, 0.03) if rng.random() < 0.5 else rng.uniform(0, 2 * math.pi)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return xs * cos + ys * sin, ys * cos - xs * sin


def _ground(size: tuple[int, int], *, rng: np.random.Generator) -> Field:
    """Background: back light, dark box, or a table."""
    level = float(rng.choice([rng.uniform(0.85, 1.0), rng.uniform(0.0, 0.12), rng.uniform(0.1, 0.9)]))
    grain = abs(rng.normal(0, 0.012)) * noise_field(size, period=log_uniform(rng, 1.5, 40), rng=rng)
    return np.asarray(level + grain, dtype=np.float32)


def _over(cover: Array, above: Array, below: Array) -> Field:
    return np.asarray(below + cover * (above - below), dtype=np.float32)


def _round(across: Field, *, rng: np.random.Generator, shine: int) -> Field:
    """Light on a cylinder at ``across`` in [-1, 1]: shade towards the sides and reflections of lamps along it."""
    place = np.clip(across, -1, 1)
    facing, lamp = np.sqrt(1.0 - place * place), rng.uniform(-0.8, 0.8)
    ambient = rng.uniform(0.2, 0.8)
    shade = ambient + (1 - ambient) * np.clip(place * lamp + facing * math.sqrt(1 - lamp * lamp), 0, 1)
    for _ in range(shine):
        centre, half = rng.uniform(-0.85, 0.85), rng.uniform(0.02, 0.2)
        edge = rng.uniform(0.02, 0.2)  # a lamp has a border, sharp on a polished part
        strip = np.clip((half - np.abs(place - centre)) / edge + 0.5, 0, 1)
        shade = shade + rng.uniform(-0.15, 0.6) * strip
    return np.asarray(shade, dtype=np.float32)


def _outline(size: tuple[int, int], *, rng: np.random.Generator, reach: float) -> NDArray[np.uint8]:
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


# --- forms ------------------------------------------------------------------------------------------------------------


def _cutout(material: Layers, *, rng: np.random.Generator) -> Layers:
    """A flat part with one border: half plane, disc, ring or bar, its edge rounded."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = _axes(size, rng=rng)
    line = along + rng.uniform(-0.35, 0.35) * short
    radius = np.hypot(along - rng.uniform(-0.5, 0.5) * short, across - rng.uniform(-0.5, 0.5) * short)
    radius = radius - rng.uniform(0.3, 0.9) * short
    form = int(rng.integers(4))
    distance = (line, radius, np.abs(radius) - rng.uniform(6, 24), np.abs(line) - rng.uniform(8, 40))[form]
    distance = distance + rng.uniform(0, 1.5) * noise_field(size, period=short, rng=rng)
    inside = np.clip(0.5 - distance, 0, 1)
    rim = np.exp(np.clip(distance, None, 0) / rng.uniform(1.5, 12))
    tone = _over(inside, material[0] - rng.uniform(-0.2, 0.35) * rim, _ground(size, rng=rng))
    return tone, np.asarray(material[1] * inside, dtype=np.float32)


def _tube(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Bottle, can, pipe: light runs round a cylinder whose sides may lie outside the frame."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = _axes(size, rng=rng)
    radius = short * log_uniform(rng, 0.25, 1.5)
    if rng.random() < 0.4:  # a shoulder: the radius changes along the axis
        start, span = rng.uniform(-0.4, 0.4) * short, rng.uniform(0.1, 0.5) * short
        radius = radius * (1.0 - rng.uniform(0.05, 0.25) * (1 - np.tanh((along - start) / span * 2)))
    place = (across + rng.uniform(-0.6, 0.6) * np.mean(radius)) / radius
    inside = np.clip((1.0 - np.abs(place)) * radius + 0.5, 0, 1)
    body = material[0] * _round(place, rng=rng, shine=int(rng.integers(4)))
    return _over(inside, body, _ground(size, rng=rng)), np.asarray(0.5 * material[1] * inside, dtype=np.float32)


def _rings(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Round part from above, such as a bottle's mouth or a bearing: steps and slopes that depend on the radius."""
    size, short = material[0].shape, min(material[0].shape)
    ys, xs = grid(size)
    ys, xs = ys - np.float32(rng.normal(0, 0.4) * short), xs - np.float32(rng.normal(0, 0.4) * short)
    radius = np.hypot(ys, xs) + np.float32(1e-3)
    reach = short * log_uniform(rng, 0.5, 1.3)
    at = np.arange(int(reach) + 3, dtype=np.float32)
    knots = np.sort(rng.uniform(0, reach, int(rng.integers(3, 12))))
    levels = np.concatenate([rng.uniform(0, 1.1, len(knots)), [rng.choice([0.0, 1.0, rng.random()])]])
    steps, slopes = levels[np.searchsorted(knots, at)], np.interp(at, knots, levels[:-1])
    share = np.where(at < knots[-1], rng.uniform(0, 1), 1.0)
    profile = (share * steps + (1 - share) * slopes).astype(np.float32)[:, None]
    profile = cv2.GaussianBlur(profile, (1, 0), sigmaX=0.5, sigmaY=rng.uniform(0.5, 2.5)) if len(at) > 8 else profile
    tone = np.interp(radius, at, profile[:, 0])
    cos = (xs * math.cos(turn := rng.uniform(0, 6.28)) + ys * math.sin(turn)) / radius
    inside = radius < knots[-1]
    lobes = rng.uniform(0, 0.5) * (2 * cos * cos - 1 if rng.random() < 0.4 else cos)
    tone = tone * np.where(inside, (0.6 + 0.8 * material[0]) * (1 + lobes), 1.0)
    return np.asarray(tone, dtype=np.float32), np.asarray(0.7 * material[1] * inside, dtype=np.float32)


def _thread(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Screw, spring or cable before a background: a bar with a helix on it."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = _axes(size, rng=rng)
    across = across + rng.uniform(-0.3, 0.3) * short
    radius, pitch = short * rng.uniform(0.08, 0.4), log_uniform(rng, 5, 20)
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
    body = material[0] * _round(place, rng=rng, shine=1) * (1 + rng.uniform(0.2, 0.7) * np.where(along > end, 0, wave))
    return _over(inside, body, _ground(size, rng=rng)), np.asarray(0.5 * material[1] * inside, dtype=np.float32)


def _assembly(material: Layers, *, rng: np.random.Generator) -> Layers:
    """A plate with holes, and nuts, washers and plates on it that throw shadows."""
    tone, height = material
    short = min(tone.shape)
    cast = rng.uniform(-0.03, 0.03, 2) * short
    for _ in range(int(rng.integers(1, 5))):
        mask = _outline(tone.shape, rng=rng, reach=short * log_uniform(rng, 0.12, 0.5))
        cover = mask.astype(np.float32) / np.float32(255.0)
        depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
        if rng.random() < 0.35:  # a hole: dark or the background, its wall lit
            level = rng.choice([rng.uniform(0, 0.15), rng.uniform(0, 1)])
            tone = _over(cover, np.float32(level) + rng.uniform(-0.1, 0.4) * np.exp(-depth / 1.5), tone)
            height = height * (1 - cover)
            continue
        moved = cv2.warpAffine(cover, np.array([[1, 0, cast[0]], [0, 1, cast[1]]]), tone.shape[::-1])
        shadow = cv2.GaussianBlur(moved, (0, 0), max(0.015 * short, 0.5))
        bevel = np.minimum(depth, rng.uniform(1, 6)).astype(np.float32)
        top = rng.uniform(0.1, 0.95) + rng.uniform(0, 1) * (material[0] - float(material[0].mean()))
        tone = _over(cover, np.asarray(top, dtype=np.float32), tone * (1 - rng.uniform(0.1, 0.6) * shadow))
        height = height * (1 - 0.5 * cover) + rng.uniform(0.3, 1.2) * bevel
    return np.asarray(tone, dtype=np.float32), np.asarray(height, dtype=np.float32)


def _tablet(material: Layers, *, rng: np.random.Generator) -> Layers:
    """Pill, capsule, biscuit, nut: a dome with specks before a background."""
    size, short = material[0].shape, min(material[0].shape)
    along, across = _axes(size, rng=rng)
    long, wide = short * rng.uniform(0.3, 0.75), short * rng.uniform(0.25, 0.6)
    power = rng.uniform(2, 4)
    reach = (np.abs(along / long) ** power + np.abs(across / wide) ** power) ** (1 / power)
    reach = reach * (1 + rng.uniform(0, 0.04) * noise_field(size, period=0.3 * short, rng=rng))
    inside = np.clip((1 - reach) * wide + 0.5, 0, 1)
    dome = np.sqrt(np.clip(1 - reach ** rng.uniform(2, 6), 0, 1))
    lamp = rng.uniform(-0.4, 0.4, 2)
    shade = rng.uniform(0.3, 0.7) + 0.5 * dome + (lamp[0] * along / long + lamp[1] * across / wide) * (1 - 0.5 * dome)
    specks = noise_field(size, period=log_uniform(rng, 2, 7), rng=rng) > rng.uniform(1.3, 2.5)
    body = material[0] * shade + rng.uniform(-0.5, 0.3) * cv2.blur(specks.astype(np.float32), (2, 2))
    return _over(inside, body, _ground(size, rng=rng)), np.asarray(0.6 * material[1] * inside, dtype=np.float32)


FORMS: dict[str, Callable[..., Layers]] = {
    "cutout": _cutout,
    "tube": _tube,
    "rings": _rings,
    "thread": _thread,
    "assembly": _assembly,
    "tablet": _tablet,
}
"""Forms: functions of a material's layers and a random stream, ``(material, *, rng)``."""
