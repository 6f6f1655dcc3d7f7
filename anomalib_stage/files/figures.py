# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Drawing for people to judge: clean and synthetic images side by side, outlines, differences, titles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """``(H, W, 3)`` RGB."""

__all__ = [
    "ANOMALY_COLOUR",
    "GOOD_COLOUR",
    "compute_difference",
    "draw_outline",
    "enlarge",
    "lay_out_rows",
    "pad_to_square",
    "scale_to_side",
    "stack_rows",
    "write_words",
]

ANOMALY_COLOUR, GOOD_COLOUR = (255, 48, 48), (64, 160, 255)
"""Outlines of anomalies and of re-synthesized good surface, RGB."""

GAP, HEADER = 4, 24
"""Pixels right of and below each cell, and height of the titles above the first row."""


def enlarge(cell: Picture, scale: int) -> Picture:
    """Enlarge by a whole factor, every pixel a block."""
    return np.asarray(cell.repeat(scale, axis=0).repeat(scale, axis=1), dtype=np.uint8)


def scale_to_side(cell: Picture, side: int) -> Picture:
    """Scale the longest side to ``side`` pixels: small cells pixel by pixel, large ones by area."""
    scale = side / max(cell.shape[:2])
    size = (max(round(cell.shape[1] * scale), 1), max(round(cell.shape[0] * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(cell, size, interpolation=how), dtype=np.uint8)


def pad_to_square(cell: Picture, side: int) -> Picture:
    """Put a cell into the upper left corner of a black square."""
    return np.pad(cell, ((0, side - cell.shape[0]), (0, side - cell.shape[1]), (0, 0)))


def compute_difference(before: Picture, after: Picture, *, gain: int = 4) -> Picture:
    """Absolute difference times ``gain``."""
    return np.asarray(np.clip(np.abs(after.astype(np.int16) - before) * gain, 0, 255), dtype=np.uint8)


def draw_outline(cell: Picture, mask: NDArray[np.bool_], *, colour: tuple[int, int, int] = ANOMALY_COLOUR) -> Picture:
    """Draw an outline around a mask, never on it.

    Args:
        cell (NDArray[np.uint8]): ``(H, W, 3)`` RGB.
        mask (NDArray[np.bool_]): ``(H, W)``; of another size it is scaled to the cell's, pixel by pixel.
        colour (tuple[int, int, int]): RGB.

    Returns:
        NDArray[np.uint8]: A copy with the outline.
    """
    inside = cv2.resize(mask.astype(np.uint8), cell.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    drawn = cell.copy()
    drawn[cv2.dilate(inside, np.ones((5, 5), np.uint8)) > inside] = colour
    return drawn


def write_words(picture: Picture, words: str, at: tuple[int, int], *, size: float, colour: tuple[int, ...]) -> None:
    """Write into a picture, from ``at`` (x and y of the lower left corner in pixels) on."""
    cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def stack_rows(rows: Sequence[Picture]) -> Picture:
    """Stack pictures, narrower ones on black."""
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def lay_out_rows(rows: Sequence[Sequence[Picture]], *, titles: Sequence[str]) -> Picture:
    """Lay out cells in rows under column titles.

    Args:
        rows (Sequence[Sequence[NDArray[np.uint8]]]): Rows of RGB cells; the cells of a row have one height.
        titles (Sequence[str]): One for each column.

    Returns:
        NDArray[np.uint8]: RGB picture.
    """
    lines = [np.concatenate([np.pad(c, ((0, GAP), (0, GAP), (0, 0))) for c in row], axis=1) for row in rows]
    strip = np.zeros((HEADER, max(line.shape[1] for line in lines), 3), np.uint8)
    left = 0
    for title, cell in zip(titles, rows[0], strict=True):
        write_words(strip, title, (left + 6, HEADER - 8), size=0.45, colour=(230,) * 3)
        left += cell.shape[1] + GAP
    return stack_rows([strip, *lines])
