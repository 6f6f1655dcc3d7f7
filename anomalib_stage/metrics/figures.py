# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sheets for people to judge: real beside synthetic anomalies, closest pairs, and repainted good surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.files.figures import (
    ANOMALY_COLOUR,
    GOOD_COLOUR,
    draw_outline,
    lay_out_rows,
    pad_to_square,
    scale_to_side,
    write_words,
)
from anomalib_stage.metrics.crops import group_by_defect
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.copies import Nearest
    from anomalib_stage.metrics.crops import Crop

    Picture = NDArray[np.uint8]

__all__ = ["draw_copy_sheet", "draw_defect_sheet", "draw_good_sheet"]

CELL = 144
COLUMNS = 8
CLOSEST = 12
PAIRS = 16


def draw_defect_sheet(synthetic: list[Crop], real: list[Crop], *, seed: int) -> Picture:
    """Lay out random draws of every defect, synthetic ones first; each row is a defect, nothing is picked by hand."""
    rows = []
    for side, crops in (("synthetic", synthetic), ("real", real)):
        for defect, members in group_by_defect(crops).items():
            order = numpy_generator(seed, "sheet", side, defect).permutation(len(members))[:COLUMNS]
            cells = [_draw_cell(members[i]) for i in order]
            cells += [np.zeros((CELL, CELL, 3), np.uint8)] * (COLUMNS - len(cells))
            rows.append([_write_name(cells[0], f"{side} {defect}"), *cells[1:]])
    return lay_out_rows(rows, titles=[""] * COLUMNS)


def draw_copy_sheet(synthetic: Sequence[Crop], real: Sequence[Crop], nearest: Nearest) -> Picture:
    """Lay out the synthetic anomalies that are closest to a real one, the closest first."""
    rows = []
    for i in np.argsort(nearest.distance, kind="stable")[:CLOSEST]:
        one, other = synthetic[i], real[nearest.which[i]]
        left = [
            _write_name(_draw_cell(one), f"{one.defect} {nearest.distance[i]:.2f}"),
            _draw_cell(one, colour=ANOMALY_COLOUR),
        ]
        rows.append([*left, _write_name(_draw_cell(other), other.defect), _draw_cell(other, colour=ANOMALY_COLOUR)])
    return lay_out_rows(rows, titles=["synthetic", "its mask", "nearest real", "its mask"])


def draw_good_sheet(repainted: Sequence[Crop], untouched: Sequence[Crop], *, seed: int) -> Picture:
    """Lay out random draws of good surface before and after it was painted again, two to a row."""
    order = numpy_generator(seed, "sheet", "good").permutation(len(repainted))[:PAIRS]
    cells = [
        [_draw_cell(untouched[i]), _draw_cell(repainted[i]), _draw_cell(repainted[i], colour=GOOD_COLOUR)]
        for i in order.tolist()
    ]
    cells = cells[: len(cells) - len(cells) % 2]
    rows = [left + right for left, right in zip(cells[::2], cells[1::2], strict=True)]
    return lay_out_rows(rows, titles=["untouched", "repainted", "where"] * 2)


def _draw_cell(crop: Crop, *, colour: tuple[int, int, int] | None = None) -> Picture:
    """Scale a crop to one size, small ones pixel by pixel; with a colour its mask is outlined."""
    picture = scale_to_side(crop.pixels, CELL)
    return pad_to_square(picture if colour is None else draw_outline(picture, crop.mask, colour=colour), CELL)


def _write_name(cell: Picture, name: str) -> Picture:
    """Write a name on a dark strip, readable on any surface."""
    drawn = cell.copy()
    drawn[:16] = 0
    write_words(drawn, name, (3, 12), size=0.38, colour=(255,) * 3)
    return drawn
