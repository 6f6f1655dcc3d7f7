# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Strokes and polygons, drawn finer than a pixel, then averaged over each pixel's area.

Coordinates are ``(x, y)`` in pixels, as in OpenCV; arrays are indexed ``[row, column]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Stamp", "draw_strokes", "fill_outlines", "trim_stamp"]

# A pixel belongs to the mask when at least this share of it is covered: below 0.5, so that lines of one pixel hold.
COVERAGE = 0.4

SHIFT = 3  # fractional bits of the coordinates given to OpenCV


class Stamp(NamedTuple):
    """A shape in its own small array.

    Attributes:
        cells (np.ndarray): ``(h, w)``, bool, with at least one pixel set.
        anchor (tuple[int, int]): Row and column of a set pixel, which comes to lie on the chosen place.
    """

    cells: np.ndarray
    anchor: tuple[int, int]


def fill_outlines(outlines: Sequence[np.ndarray], extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Fill closed outlines of ``(N, 2)`` points; returns the pixels and the coordinates of their upper left corner."""
    factor = _choose_oversampling(extent)
    points = np.concatenate(outlines)
    canvas, origin = _open_canvas(points.min(axis=0), points.max(axis=0), factor)
    for outline in outlines:
        cv2.fillPoly(canvas, [_to_fixed_point(outline, origin, factor)], 255, cv2.LINE_8, SHIFT)
    return _threshold_canvas(canvas, factor), origin


def draw_strokes(lines: Sequence[tuple[np.ndarray, np.ndarray]], extent: float) -> np.ndarray:
    """Draw open lines, each ``(N, 2)`` points with ``(N,)`` widths in pixels; a width of 0 lifts the pen."""
    factor = _choose_oversampling(extent)
    margin = max(float(widths.max()) for _, widths in lines) / 2
    points = np.concatenate([line for line, _ in lines])
    canvas, origin = _open_canvas(points.min(axis=0) - margin, points.max(axis=0) + margin, factor)
    for line, widths in lines:
        fixed = _to_fixed_point(line, origin, factor).tolist()
        pens = np.maximum(np.round(widths * factor), widths > 0).astype(int).tolist()
        for start, end, pen in zip(fixed, fixed[1:], pens, strict=False):
            if pen:
                cv2.line(canvas, start, end, 255, pen, cv2.LINE_8, SHIFT)
    return _threshold_canvas(canvas, factor)


def trim_stamp(cells: np.ndarray, *, rng: np.random.Generator) -> Stamp:
    """Crop to the set pixels (one pixel if there are none) and anchor the stamp at the set pixel next to its middle."""
    if not cells.any():
        return Stamp(np.ones((1, 1), bool), (0, 0))
    left, top, width, height = cv2.boundingRect(cells.view(np.uint8))
    cells = cells[top : top + height, left : left + width]
    rows, columns = np.nonzero(cells)
    row, column = rng.uniform(0.35, 0.65, 2) * (height, width)
    nearest = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    return Stamp(cells, (int(rows[nearest]), int(columns[nearest])))


def _choose_oversampling(extent: float) -> int:
    """Return canvas pixels per image pixel and side: small shapes need them, large ones cannot pay for them."""
    return 4 if extent < 48 else 2 if extent < 160 else 1


def _open_canvas(low: np.ndarray, high: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an empty canvas for the box from ``low`` to ``high`` (pixels) and the origin of its coordinates."""
    origin = np.floor(low) - 1
    width, height = (np.ceil(high) + 1 - origin).astype(int)
    return np.zeros((height * factor, width * factor), np.uint8), origin


def _to_fixed_point(points: np.ndarray, origin: np.ndarray, factor: int) -> np.ndarray:
    """Turn image coordinates into OpenCV fixed-point canvas coordinates (pixel centres at integers)."""
    return np.asarray(np.round(((points - origin) * factor - 0.5) * (1 << SHIFT)), np.int32)


def _threshold_canvas(canvas: np.ndarray, factor: int) -> np.ndarray:
    """Average a ``uint8`` canvas over blocks of ``factor`` pixels and threshold it."""
    if factor > 1:
        size = (canvas.shape[1] // factor, canvas.shape[0] // factor)
        canvas = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return np.asarray(canvas >= 255 * COVERAGE)
