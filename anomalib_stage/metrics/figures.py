# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sheets for people to judge: real beside synthetic anomalies, closest pairs, and repainted good surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.files.figures import GOOD_COLOUR, RED, draw_outline, sheet
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
    """Lay out random draws of every kind, synthetic ones first; each row is a defect, nothing is picked by hand."""
    rows = []
    for side, cuts in (("synthetic", synthetic), ("real", real)):
        for defect, members in group_by_defect(cuts).items():
            order = numpy_generator(seed, "sheet", side, defect).permutation(len(members))[:COLUMNS]
            cells = [_cell(members[i]) for i in order]
            cells += [np.zeros((CELL, CELL, 3), np.uint8)] * (COLUMNS - len(cells))
            rows.append([_named(cells[0], f"{side} {defect}"), *cells[1:]])
    return sheet(rows, titles=[""] * COLUMNS)


def draw_copy_sheet(synthetic: Sequence[Crop], real: Sequence[Crop], nearest: Nearest) -> Picture:
    """Lay out the synthetic anomalies that are closest to a real one, the closest first."""
    rows = []
    for i in np.argsort(nearest.distance, kind="stable")[:CLOSEST]:
        one, other = synthetic[i], real[nearest.which[i]]
        left = [_named(_cell(one), f"{one.defect} {nearest.distance[i]:.2f}"), _cell(one, colour=RED)]
        rows.append([*left, _named(_cell(other), other.defect), _cell(other, colour=RED)])
    return sheet(rows, titles=["synthetic", "its mask", "nearest real", "its mask"])


def draw_good_sheet(repainted: Sequence[Crop], untouched: Sequence[Crop], *, seed: int) -> Picture:
    """Lay out random draws of good surface before and after it was painted again, two to a row."""
    order = numpy_generator(seed, "sheet", "good").permutation(len(repainted))[:PAIRS]
    cells = [
        [_cell(untouched[i]), _cell(repainted[i]), _cell(repainted[i], colour=GOOD_COLOUR)] for i in order.tolist()
    ]
    cells = cells[: len(cells) - len(cells) % 2]
    rows = [left + right for left, right in zip(cells[::2], cells[1::2], strict=True)]
    return sheet(rows, titles=["untouched", "repainted", "where"] * 2)


def _cell(cut: Crop, *, colour: tuple[int, int, int] | None = None) -> Picture:
    """Scale a cut to one size, small ones pixel by pixel; with a colour its mask is outlined."""
    scale = CELL / max(cut.mask.shape)
    size = (max(round(cut.mask.shape[1] * scale), 1), max(round(cut.mask.shape[0] * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    picture = np.asarray(cv2.resize(cut.pixels, size, interpolation=how), dtype=np.uint8)
    if colour is not None:
        mask = cv2.resize(cut.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        picture = draw_outline(picture, mask, colour=colour)
    return np.pad(picture, ((0, CELL - picture.shape[0]), (0, CELL - picture.shape[1]), (0, 0)))


def _named(cell: Picture, name: str) -> Picture:
    """Write a name on a dark strip, readable on any surface."""
    drawn = cell.copy()
    drawn[:16] = 0
    cv2.putText(drawn, name, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255,) * 3, 1, cv2.LINE_AA)
    return drawn
