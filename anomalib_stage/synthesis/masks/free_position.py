# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a drawn shape comes to lie: anywhere in the allowed area, or on its edge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anomalib_stage.synthesis.masks.shapes.canvas import Stamp

__all__ = ["draw_edge_position", "draw_free_position"]

INSIDE = 0.85
"""Share of masks kept inside the image where no area is given; the others may be cut by its edge."""

TRIES = 32
"""Single pixels tried before the whole allowed area is listed."""


def draw_free_position(
    stamp: Stamp, size: tuple[int, int], *, rng: np.random.Generator, allowed: np.ndarray | None
) -> tuple[int, int]:
    """Draw the row and column that the stamp's anchor comes to lie on."""
    if allowed is not None:
        return _draw_allowed_pixel(allowed, rng=rng)
    if rng.random() > INSIDE:
        return int(rng.integers(size[0])), int(rng.integers(size[1]))
    row, column = (
        # Slide the stamp inside the image; one that is larger slides over it and covers it where it can.
        int(np.clip(rng.integers(min(0, side - length), max(0, side - length) + 1) + anchor, 0, side - 1))
        for side, length, anchor in zip(size, stamp.cells.shape, stamp.anchor, strict=True)
    )
    return row, column


def draw_edge_position(
    size: tuple[int, int], *, extent: float, rng: np.random.Generator, allowed: np.ndarray | None
) -> tuple[tuple[int, int], float]:
    """Draw a position on the edge of the allowed area and the direction from there into the area.

    A ray from a random allowed pixel ends where it leaves the area for the first time. The direction points to the
    mean of the allowed pixels around that position; the image's outside counts as not allowed.

    Returns:
        tuple[tuple[int, int], float]: Row and column; angle in radians, 0 along the columns, growing with the rows.
    """
    start = _draw_allowed_pixel(np.broadcast_to(True, size) if allowed is None else allowed, rng=rng)
    heading = rng.uniform(0, 2 * math.pi)
    steps = np.arange(math.ceil(math.hypot(*size)) + 1)
    rows = np.rint(start[0] + steps * math.sin(heading)).astype(int)
    columns = np.rint(start[1] + steps * math.cos(heading)).astype(int)
    inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    rows, columns = rows[inside], columns[inside]
    free = np.ones(len(rows), bool) if allowed is None else allowed[rows, columns]
    last = len(rows) - 1 if free.all() else int(np.argmin(free)) - 1
    row, column = int(rows[last]), int(columns[last])

    reach = max(2, round(extent / 4))
    near_rows, near_columns = np.ogrid[row - reach : row + reach + 1, column - reach : column + reach + 1]
    near = (near_rows >= 0) & (near_rows < size[0]) & (near_columns >= 0) & (near_columns < size[1])
    if allowed is not None:
        near = near & allowed[np.clip(near_rows, 0, size[0] - 1), np.clip(near_columns, 0, size[1] - 1)]
    down = float((near * (near_rows - row)).sum())
    right = float((near * (near_columns - column)).sum())
    return (row, column), math.atan2(down, right) if (down, right) != (0, 0) else heading + math.pi


def _draw_allowed_pixel(allowed: np.ndarray, *, rng: np.random.Generator) -> tuple[int, int]:
    """Draw one allowed pixel, every one with the same probability."""
    height, width = allowed.shape
    for row, column in zip(
        rng.integers(height, size=TRIES).tolist(), rng.integers(width, size=TRIES).tolist(), strict=True
    ):
        if allowed[row, column]:
            return row, column
    inside = np.flatnonzero(allowed)
    row, column = divmod(int(inside[rng.integers(len(inside))]), width)
    return row, column
