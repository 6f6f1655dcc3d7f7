# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A preview as one self-contained HTML page: pictures as data, no address of anything outside, nothing that changes.

The template escapes every value: file names and defects come from users and bundles.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined

from anomalib_stage.files.figures import ANOMALY_COLOUR, GOOD_COLOUR, compute_difference, draw_outline
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.preview.charts import Chart, histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.preview.rows import PreviewRow

__all__ = ["preview_page"]

TEMPLATE = "page.html.jinja"

LONGEST = 384
"""Longest side in pixels of a picture in the page; larger ones are reduced."""

GRAINY = 160
"""Pictures with a shorter longest side are enlarged pixel by pixel."""

OUTCOMES = {
    "anomaly": "label 1",
    "good": "intact surface painted again, label 0",
    "rejected": "nothing visible came out, left good with label 0",
}
"""What each outcome of a row means for a training."""


@dataclass(frozen=True)
class _Picture:
    """An image of the page."""

    source: str
    width: int
    height: int
    grainy: bool


def preview_page(
    rows: Sequence[PreviewRow],
    *,
    names: Sequence[str],
    settings: Mapping[str, object],
    card: Sequence[tuple[str, str]],
    min_visibility: float,
) -> str:
    """Lay out rows as a page.

    Args:
        rows (Sequence[PreviewRow]): At least one row.
        names (Sequence[str]): Name of the good image of each row.
        settings (Mapping[str, object]): What the rows were painted with; nested mappings become dotted names.
        card (Sequence[tuple[str, str]]): Name and value of what the bundle is.
        min_visibility (float): Visibility below which pairs are rejected; 0: none are.

    Returns:
        str: HTML; the same arguments give the same text.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        resources.files("anomalib_stage.preview").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )
    defects = Counter(row.defect for row in rows)
    return template.render(
        rows=[_shown(i, row, name) for i, (row, name) in enumerate(zip(rows, names, strict=True), start=1)],
        defects=sorted(defects.items()),
        facts=_facts(rows),
        charts=_charts(rows, min_visibility=min_visibility),
        outcomes=[name for name in OUTCOMES if any(row.outcome == name for row in rows)],
        tables={"Settings": list(_flat(settings)), "Weights": list(card)},
    )


def _shown(number: int, row: PreviewRow, name: str) -> dict[str, Any]:
    """Everything that the template says about a row."""
    before, after = _reduced(row.before), _reduced(row.after)
    colour = GOOD_COLOUR if row.outcome == "good" else ANOMALY_COLOUR
    mask = cv2.resize(row.painted.astype(np.uint8), before.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
    near_before, near_after = (_reduced(cell) for cell in row.closer)
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
        "clean": _picture(before),
        "outline": _picture(draw_outline(before, mask, colour=colour)),
        "synthetic": _picture(after),
        "difference": _picture(compute_difference(before, after)),
        "near": None if row.rejected else {"clean": _picture(near_before), "synthetic": _picture(near_after)},
    }


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = LONGEST / max(pixels.shape[:2])
    if scale >= 1.0:
        return pixels
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _picture(pixels: NDArray[np.uint8]) -> _Picture:
    """Embed a picture; a grey one is stored with one channel."""
    grey = bool((pixels == pixels[..., :1]).all())
    png = encode_png(np.ascontiguousarray(pixels[..., 0]) if grey else np.ascontiguousarray(pixels))
    height, width = pixels.shape[:2]
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return _Picture(source, width, height, grainy=max(height, width) < GRAINY)


def _facts(rows: Sequence[PreviewRow]) -> list[tuple[str, str]]:
    """Numbers that sum the rows up."""
    outcomes = Counter(row.outcome for row in rows)
    found = [row for row in rows if row.outcome == "anomaly"]
    facts = [("images", str(len(rows))), ("anomalies", str(outcomes["anomaly"]))]
    if outcomes["good"]:
        facts.append(("good", str(outcomes["good"])))
    facts.append(("rejected", str(outcomes["rejected"])))
    if found:
        facts.append(("median mask", f"{median(int(row.painted.sum()) for row in found):,.0f} px"))
        facts.append(("median visibility", f"{median(row.visibility for row in found):.1f}"))
    return facts


def _charts(rows: Sequence[PreviewRow], *, min_visibility: float) -> list[Chart]:
    sides = {name: [float(row.painted.sum()) ** 0.5 for row in _of(rows, name)] for name in ("anomaly", "good")}
    seen = {name: [row.visibility for row in _of(rows, name)] for name in OUTCOMES}
    mark = (min_visibility, f"least {min_visibility:g}") if min_visibility else None
    return [
        histogram(sides, title="Mask size", unit="side of a square of the mask's area, px"),
        histogram(seen, title="Visibility", unit="1 = good surface painted over good surface", mark=mark),
    ]


def _of(rows: Sequence[PreviewRow], outcome: str) -> Iterator[PreviewRow]:
    return (row for row in rows if row.outcome == outcome)


def _flat(settings: Mapping[str, object], *, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Rows of name and value; a nested mapping's names are joined by dots."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, prefix=f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _said(value)


def _said(value: object) -> str:
    """A setting in words: ranges as people write them."""
    if isinstance(value, tuple | list):
        if len(value) == 2 and all(isinstance(part, float) for part in value):
            return f"{value[0]:g} to {value[1]:g}"
        return ", ".join(_said(part) for part in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
