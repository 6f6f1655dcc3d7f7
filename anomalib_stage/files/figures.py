# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sheets: pictures of clean and synthetic images side by side, for people to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """``(H, W, 3)`` RGB."""

__all__ = ["GOOD_COLOUR", "RED", "difference", "draw_outline", "enlarge", "sheet"]

RED, GOOD_COLOUR = (255, 48, 48), (64, 160, 255)
"""Outlines of anomalies and of re-synthesized good surface, RGB."""

GAP, HEADER = 4, 24


def enlarge(cell: Picture, scale: int) -> Picture:
    """Enlarge by a whole factor, every pixel a block."""
    return np.asarray(cell.repeat(scale, axis=0).repeat(scale, axis=1), dtype=np.uint8)


def difference(before: Picture, after: Picture, *, gain: int = 4) -> Picture:
    """Absolute difference times ``gain``."""
    return np.asarray(np.clip(np.abs(after.astype(np.int16) - before) * gain, 0, 255), dtype=np.uint8)


def draw_outline(cell: Picture, mask: NDArray[np.bool_], *, colour: tuple[int, int, int] = RED) -> Picture:
    """Draw an outline around a mask, never on it.

    Args:
        cell (NDArray[np.uint8]): ``(H, W, 3)`` RGB.
        mask (NDArray[np.bool_]): ``(H, W)``.
        colour (tuple[int, int, int]): RGB.

    Returns:
        NDArray[np.uint8]: A copy with the outline.
    """
    inside = mask.astype(np.uint8)
    drawn = cell.copy()
    drawn[cv2.dilate(inside, np.ones((5, 5), np.uint8)) > inside] = colour
    return drawn


def sheet(rows: Sequence[Sequence[Picture]], *, titles: Sequence[str]) -> Picture:
    """Lay out cells in rows under column titles.

    Args:
        rows (Sequence[Sequence[NDArray[np.uint8]]]): Rows of RGB cells; the cells of a row have one height.
        titles (Sequence[str]): One for each column.

    Returns:
        NDArray[np.uint8]: RGB picture.
    """
    lines = [np.concatenate([np.pad(c, ((0, GAP), (0, GAP), (0, 0))) for c in row], axis=1) for row in rows]
    width = max(line.shape[1] for line in lines)
    strip = np.zeros((HEADER, width, 3), np.uint8)
    left = 0
    for title, cell in zip(titles, rows[0], strict=True):
        cv2.putText(strip, title, (left + 6, HEADER - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230,) * 3, 1, cv2.LINE_AA)
        left += cell.shape[1] + GAP
    return np.concatenate([strip, *(np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0))) for line in lines)])
