# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A preview as one picture: a row for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.files.figures import (
    ANOMALY_COLOUR,
    GOOD_COLOUR,
    compute_difference,
    draw_outline,
    lay_out_rows,
    pad_to_square,
    scale_to_side,
    write_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.preview.rows import PreviewRow

__all__ = ["CELL", "TITLES", "draw_grid"]

TITLES = ("clean", "mask", "synthetic", "difference x4", "zoom")
CELL = 256
"""Side of a cell in pixels."""


def draw_grid(rows: Sequence[PreviewRow]) -> NDArray[np.uint8]:
    """Lay out rows: clean, mask, synthetic, difference x4, zoom.

    Args:
        rows (Sequence[PreviewRow]): At least one row.

    Returns:
        NDArray[np.uint8]: ``(height, width, 3)`` RGB, one row of cells for each row.
    """
    return lay_out_rows([_draw_cells(row) for row in rows], titles=TITLES)


def _draw_cells(row: PreviewRow) -> list[NDArray[np.uint8]]:
    difference = compute_difference(row.before, row.after)
    clean, synthetic, changed, zoom = (
        scale_to_side(cell, CELL) for cell in (row.before, row.after, difference, row.closer[1])
    )
    colour = GOOD_COLOUR if row.outcome == "good" or row.rejected else ANOMALY_COLOUR
    name = f"{row.defect}: nothing visible" if row.rejected else row.defect
    masked = draw_outline(clean, row.painted, colour=colour)
    masked[:22, : 12 + 9 * len(name)] = 0  # the name must be readable on any surface
    write_words(masked, name, (6, 16), size=0.45, colour=colour)
    return [pad_to_square(cell, CELL) for cell in (clean, masked, synthetic, changed, zoom)]
