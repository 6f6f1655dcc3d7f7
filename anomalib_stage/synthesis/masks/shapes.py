# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0

"""The six families of defect shapes, drawn as stamps of their own size.

``scratch`` (tapered strokes), ``crack`` (branching jagged lines), ``blob`` (smooth closed outlines), ``spots`` (groups
of dots), ``perlin`` (thresholded smooth noise) and ``edge_chip`` (a bite out of the object's edge).

Each family is a function ``(extent, *, rng, angle) -> Stamp``: the longest side in pixels, a random stream, and a
direction in radians. :mod:`anomalib_stage.synthesis.masks.draw` puts stamps into images.

Coordinates are ``(x, y)`` in pixels, as in OpenCV; arrays are indexed ``[row, column]``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SHAPES", "Stamp"]

# A pixel belongs to the mask when at least this share of it is covered: below 0.5, so that lines of one pixel hold.
_COVERAGE = 0.4
_SHIFT = 3  # fractional bits of the coordinates given to OpenCV


class Stamp(NamedTuple):
    """A shape in its own small array.

    Attributes:
        cells (np.ndarray): ``(h, w)``, bool, with at least one pixel set.
        anchor (tuple[int, int]): Row and column of a set pixel, which comes to lie on the chosen place.
    """

    cells: np.ndarray
    anchor: tuple[int, int]


# ---------------------------------------------------------------------------------------------------------------------
# Drawing: strokes and polygons, finer than a pixel, then averaged over each pixel's area
# ---------------------------------------------------------------------------------------------------------------------


def _oversampling(extent: float) -> int:
    """Canvas pixels per image pixel and side: small shapes need them, large ones cannot pay for them."""
    return 4 if extent < 48 else 2 if extent < 160 else 1


def _fit(points: np.ndarray, extent: float) -> np.ndarray:
    """Scale ``(N, 2)`` points so that the longest side of their bounding box is ``extent``."""
    span = float((points.max(axis=0) - points.min(axis=0)).max())
    return points * (max(extent, 0.1) / max(span, 1e-6))


def _rotation(angle: float) -> np.ndarray:
    """Matrix for row vectors ``(x, y) @ R`` that turns the x axis by ``angle`` radians towards the y axis."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def _pixels(canvas: np.ndarray, factor: int) -> np.ndarray:
    """Average a ``uint8`` canvas over blocks of ``factor`` pixels and threshold it."""
    if factor > 1:
        size = (canvas.shape[1] // factor, canvas.shape[0] // factor)
        canvas = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return np.asarray(canvas >= 255 * _COVERAGE)


def _canvas(low: np.ndarray, high: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an empty canvas for the box from ``low`` to ``high`` (pixels) and the origin of its coordinates."""
    origin = np.floor(low) - 1
    width, height = (np.ceil(high) + 1 - origin).astype(int)
    return np.zeros((height * factor, width * factor), np.uint8), origin


def _fixed(points: np.ndarray, origin: np.ndarray, factor: int) -> np.ndarray:
    """Image coordinates to OpenCV fixed-point canvas coordinates (pixel centres at integers)."""
    return np.asarray(np.round(((points - origin) * factor - 0.5) * (1 << _SHIFT)), np.int32)


def _fill(outlines: Sequence[np.ndarray], extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Fill closed outlines of ``(N, 2)`` points; returns the pixels and the coordinates of their upper left corner."""
    factor = _oversampling(extent)
    points = np.concatenate(outlines)
    canvas, origin = _canvas(points.min(axis=0), points.max(axis=0), factor)
    for outline in outlines:
        cv2.fillPoly(canvas, [_fixed(outline, origin, factor)], 255, cv2.LINE_8, _SHIFT)
    return _pixels(canvas, factor), origin


def _stroke(lines: Sequence[tuple[np.ndarray, np.ndarray]], extent: float) -> np.ndarray:
    """Draw open lines, each ``(N, 2)`` points with ``(N,)`` widths in pixels; a width of 0 lifts the pen."""
    factor = _oversampling(extent)
    margin = max(float(widths.max()) for _, widths in lines) / 2
    points = np.concatenate([line for line, _ in lines])
    canvas, origin = _canvas(points.min(axis=0) - margin, points.max(axis=0) + margin, factor)
    for line, widths in lines:
        fixed = _fixed(line, origin, factor).tolist()
        pens = np.maximum(np.round(widths * factor), widths > 0).astype(int).tolist()
        for start, end, pen in zip(fixed, fixed[1:], pens, strict=False):
            if pen:
                cv2.line(canvas, start, end, 255, pen, cv2.LINE_8, _SHIFT)
    return _pixels(canvas, factor)


def _trimmed(cells: np.ndarray, *, rng: np.random.Generator) -> Stamp:
    """Crop to the set pixels (one pixel if there are none) and anchor the stamp at the set pixel next to its middle."""
    if not cells.any():
        return Stamp(np.ones((1, 1), bool), (0, 0))
    left, top, width, height = cv2.boundingRect(cells.view(np.uint8))
    cells = cells[top : top + height, left : left + width]
    rows, columns = np.nonzero(cells)
    row, column = rng.uniform(0.35, 0.65, 2) * (height, width)
    nearest = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    return Stamp(cells, (int(rows[nearest]), int(columns[nearest])))


# ---------------------------------------------------------------------------------------------------------------------
# Building blocks
# ---------------------------------------------------------------------------------------------------------------------


def _wave(count: int, *, knots: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random curve in about [-1, 1] with ``count`` samples and roughly ``knots`` bends."""
    values = rng.uniform(-1.0, 1.0, (1, max(knots, 2))).astype(np.float32)
    curve: np.ndarray = cv2.resize(values, (count, 1), interpolation=cv2.INTER_CUBIC)[0]
    return curve.astype(np.float64)


def _walk(count: int, *, bend: float, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Random walk of ``count`` unit steps from the origin along x: ``bend`` turns it slowly, ``jitter`` kinks it."""
    heading = bend * _wave(count, knots=int(rng.integers(2, 6)), rng=rng) + jitter * rng.standard_normal(count)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _taper(count: int, *, width: float, rng: np.random.Generator) -> np.ndarray:
    """Widths along a stroke: smoothly varying, thinner towards the ends, at least one pixel."""
    place = np.linspace(0.0, 1.0, count)
    ends = np.clip(np.minimum(place / rng.uniform(0.02, 0.5), (1 - place) / rng.uniform(0.02, 0.5)), 0, 1)
    return np.asarray(np.maximum(width * np.sqrt(ends) * (1 + 0.4 * _wave(count, knots=6, rng=rng)), 1.0))


def _outline(*, rng: np.random.Generator, points: int = 72) -> np.ndarray:
    """Closed star-shaped outline around the origin, about unit radius: an ellipse with random harmonics."""
    theta = np.linspace(0.0, 2 * math.pi, points, endpoint=False)
    orders = np.arange(2, 14)
    sizes = rng.uniform(0.03, 0.45) * rng.standard_normal(len(orders)) / orders ** rng.uniform(0.9, 1.5)
    phases = rng.uniform(0, 2 * math.pi, len(orders))
    radius = np.maximum(1 + sizes @ np.cos(np.outer(orders, theta) + phases[:, None]), 0.25)
    aspect = rng.uniform(0.3, 1.0) if rng.random() < 0.7 else 1.0
    return np.stack([radius * np.cos(theta), aspect * radius * np.sin(theta)], axis=1)


# ---------------------------------------------------------------------------------------------------------------------
# The six families: (extent in px, random stream, angle in radians) -> stamp
# ---------------------------------------------------------------------------------------------------------------------


def _scratch(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """One stroke, or a bundle of nearly parallel ones; sometimes broken."""
    count = int(np.clip(extent / 2.5, 6, 48))
    width = min(float(np.exp(rng.uniform(0.0, math.log(max(1.3, min(7.0, extent / 6)))))), extent / 3)
    copies = int(rng.integers(2, 6)) if rng.random() < 0.2 and extent >= 12 else 1
    width = min(width, 2.0) if copies > 1 else width
    spine = _walk(count, bend=float(rng.choice([0.02, 0.15, 0.5, 1.2])), jitter=rng.uniform(0, 0.08), rng=rng)
    spread = count * rng.uniform(0.04, 0.25)
    paths, pens = [], []
    for _ in range(copies):
        piece = spine + (0 if copies == 1 else rng.uniform(-0.5, 0.5, 2) * (spread, spread))
        paths.append(piece @ _rotation(angle + 0.03 * rng.standard_normal() * (copies > 1)))
        pens.append(_taper(count + 1, width=width, rng=rng))
        if rng.random() < 0.25:
            gaps = _wave(count + 1, knots=9, rng=rng) < -0.45
            gaps[[0, -2]] = False
            pens[-1][gaps] = 0.0
    fitted = _fit(np.concatenate(paths), extent - min(width, extent / 2))
    return _trimmed(_stroke(list(zip(np.split(fitted, copies), pens, strict=True)), extent), rng=rng)


def _crack(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """A jagged line of about one to three pixels with branches that leave it at steep angles."""
    count = int(np.clip(extent / 3, 6, 32))
    width = min(rng.uniform(1.0, 1.2 + min(2.5, extent / 60)), extent / 3)
    lines = [_walk(count, bend=rng.uniform(0.1, 0.8), jitter=rng.uniform(0.15, 0.6), rng=rng) @ _rotation(angle)]
    for _ in range(int(rng.integers(0, 6))):
        parent = lines[int(rng.integers(len(lines)))]
        length = int(rng.integers(3, max(4, count // 2)))
        turn = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.4)
        branch = _walk(length, bend=0.3, jitter=rng.uniform(0.15, 0.5), rng=rng) @ _rotation(turn)
        lines.append(branch + parent[int(rng.integers(len(parent)))])
    fitted = _fit(np.concatenate(lines), extent - min(width, extent / 2))
    pieces = np.split(fitted, np.cumsum([len(line) for line in lines])[:-1])
    pens = [np.maximum(np.linspace(width, rng.uniform(0.3, 1) * width, len(line)), 1.0) for line in pieces]
    return _trimmed(_stroke(list(zip(pieces, pens, strict=True)), extent), rng=rng)


def _blob(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """A closed irregular outline, from a round pit to a ragged patch."""
    cells, _ = _fill([_fit(_outline(rng=rng) @ _rotation(angle), extent)], extent)
    return _trimmed(cells, rng=rng)


def _spots(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """One to twelve small dots, spread over an elongated area."""
    count = int(rng.integers(1, 13)) if extent >= 8 else 1
    spread = rng.standard_normal((count, 2)) * (1.0, rng.uniform(0.2, 1.0)) @ _rotation(angle)
    sizes = np.exp(rng.normal(math.log(rng.uniform(0.06, 0.3)), 0.5, count))
    dots = [place + size * _outline(rng=rng, points=20) for place, size in zip(spread, sizes, strict=True)]
    fitted = np.split(_fit(np.concatenate(dots), extent), count)
    small = [dot for dot in fitted if np.ptp(dot, axis=0).min() < 1.2]
    grown = [_grown(dot) for dot in small] + [dot for dot in fitted if np.ptp(dot, axis=0).min() >= 1.2]
    cells, _ = _fill(grown, extent)
    return _trimmed(cells, rng=rng)


def _grown(dot: np.ndarray) -> np.ndarray:
    """Enlarge a dot thinner than a pixel so that at least one pixel remains of it."""
    middle = dot.mean(axis=0)
    return np.asarray(middle + (dot - middle) * np.maximum(1.2 / np.maximum(np.ptp(dot, axis=0), 0.1), 1.0))


def _perlin(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """Smooth noise of two octaves above a threshold, inside a rotated ellipse."""
    grid = int(np.clip(extent, 8, 64))
    cells = int(rng.integers(3, 8))
    noise = sum(
        share * cv2.resize(rng.standard_normal((n, n)).astype(np.float32), (grid, grid), interpolation=cv2.INTER_CUBIC)
        for share, n in ((1.0, cells), (0.5, 2 * cells))
    )
    axis = np.linspace(-1, 1, grid)
    x, y = np.meshgrid(axis, axis)
    turned = np.stack([x, y], axis=-1) @ _rotation(-angle)
    ellipse = 1 - turned[..., 0] ** 2 - (turned[..., 1] / rng.uniform(0.35, 1.0)) ** 2
    field = np.minimum(noise + rng.uniform(-0.2, 0.9), 4 * ellipse).astype(np.float32)
    field -= min(0.0, float(field.max()) - 0.05)
    # Crop to what is above the threshold, then bring it to its size: the mask is drawn at the image's resolution.
    left, top, width, height = cv2.boundingRect((field > 0).astype(np.uint8))
    field = field[top : top + height, left : left + width]
    scale = extent / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _trimmed(np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR) > 0), rng=rng)


def _edge_chip(extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """A bite of width ``extent`` whose depth runs along ``angle``; the anchor lies on the object's edge."""
    count = int(np.clip(extent, 8, 40))
    along = np.linspace(-0.5, 0.5, count)
    arch = np.clip(1 - (2 * along) ** 2, 0, 1) ** rng.uniform(0.25, 0.8)
    coarse, fine = _wave(count, knots=5, rng=rng), _wave(count, knots=14, rng=rng)
    ragged = 1 + rng.uniform(0.1, 0.5) * coarse + rng.uniform(0, 0.25) * fine
    depth = rng.uniform(0.15, 0.7) * np.clip(arch * ragged, 0.02, 1.4)
    back = np.array([[0.5, -0.25], [-0.5, -0.25]])
    outline = np.concatenate([np.stack([along, depth], axis=1), back]) * max(extent, 1.0)
    cells, origin = _fill([outline @ _rotation(angle - math.pi / 2)], extent)
    row, column = np.clip(np.floor(-origin[::-1]).astype(int), 0, np.array(cells.shape) - 1)
    cells[row, column] = True
    return Stamp(cells, (int(row), int(column)))


SHAPES: dict[str, Callable[..., Stamp]] = {
    "scratch": _scratch,
    "crack": _crack,
    "blob": _blob,
    "spots": _spots,
    "perlin": _perlin,
    "edge_chip": _edge_chip,
}
