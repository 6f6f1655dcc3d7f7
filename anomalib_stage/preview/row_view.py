# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A row as the page's template takes it, its pictures embedded."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from anomalib_stage.files.figures import ANOMALY_COLOUR, GOOD_COLOUR, compute_difference, draw_outline
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.preview.facts import OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.preview.rows import PreviewRow

__all__ = ["describe_row"]

LONGEST = 384
"""Longest side in pixels of a picture in the page; larger ones are reduced."""

GRAINY = 160
"""Pictures with a shorter longest side are enlarged pixel by pixel."""


@dataclass(frozen=True)
class _Picture:
    """An image of the page."""

    source: str
    width: int
    height: int
    grainy: bool


def describe_row(number: int, row: PreviewRow, name: str) -> dict[str, Any]:
    """Return everything that the template says about a row."""
    before, after = _reduce(row.before), _reduce(row.after)
    colour = GOOD_COLOUR if row.outcome == "good" else ANOMALY_COLOUR
    mask = cv2.resize(row.painted.astype(np.uint8), before.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
    near_before, near_after = (_reduce(cell) for cell in row.closer)
    return {
        "number": number,
        "name": name,
        "defect": row.defect,
        "seed": row.seed,
        "outcome": row.outcome,
        "meaning": OUTCOMES[row.outcome],
        "size": f"{row.before.shape[1]} x {row.before.shape[0]} px",
        "mask": f"{int(row.painted.sum()):,} px" if row.painted.any() else "none",
        "visibility": f"{row.visibility:.1f}",
        "clean": _embed(before),
        "outline": _embed(draw_outline(before, mask, colour=colour)),
        "synthetic": _embed(after),
        "difference": _embed(compute_difference(before, after)),
        "near": None if row.rejected else {"clean": _embed(near_before), "synthetic": _embed(near_after)},
    }


def _reduce(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = LONGEST / max(pixels.shape[:2])
    if scale >= 1.0:
        return pixels
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _embed(pixels: NDArray[np.uint8]) -> _Picture:
    """Embed a picture; a grey one is stored with one channel."""
    grey = bool((pixels == pixels[..., :1]).all())
    png = encode_png(np.ascontiguousarray(pixels[..., 0]) if grey else np.ascontiguousarray(pixels))
    height, width = pixels.shape[:2]
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return _Picture(source, width, height, grainy=max(height, width) < GRAINY)
