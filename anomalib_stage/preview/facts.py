# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a page says of all rows together: numbers, histograms, settings in words."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from anomalib_stage.files.claims import flatten
from anomalib_stage.preview.histogram import build_histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anomalib_stage.preview.charts import Chart
    from anomalib_stage.preview.rows import PreviewRow

__all__ = ["OUTCOMES", "draw_charts", "list_facts", "word_settings"]

OUTCOMES = {
    "anomaly": "label 1",
    "good": "intact surface painted again, label 0",
    "rejected": "nothing visible came out, left good with label 0",
}
"""What each outcome of a row means for a training."""


def list_facts(rows: Sequence[PreviewRow]) -> list[tuple[str, str]]:
    """List names and values of the numbers that sum the rows up."""
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


def draw_charts(rows: Sequence[PreviewRow], *, min_visibility: float) -> list[Chart]:
    """Count sizes of masks and visibilities; with a bound, a line is drawn at it."""
    sides = {name: [float(row.painted.sum()) ** 0.5 for row in _select(rows, name)] for name in ("anomaly", "good")}
    seen = {name: [row.visibility for row in _select(rows, name)] for name in OUTCOMES}
    mark = (min_visibility, f"least {min_visibility:g}") if min_visibility else None
    return [
        build_histogram(sides, title="Mask size", unit="side of a square of the mask's area, px"),
        build_histogram(seen, title="Visibility", unit="1 = good surface painted over good surface", mark=mark),
    ]


def _select(rows: Sequence[PreviewRow], outcome: str) -> Iterator[PreviewRow]:
    return (row for row in rows if row.outcome == outcome)


def word_settings(settings: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield names and values in words; a nested mapping's names are joined by dots."""
    return ((name, _word_value(value)) for name, value in flatten(settings))


def _word_value(value: object) -> str:
    """A setting in words: ranges as people write them."""
    if isinstance(value, tuple | list):
        if len(value) == 2 and all(isinstance(part, float) for part in value):
            return f"{value[0]:g} to {value[1]:g}"
        return ", ".join(_word_value(part) for part in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
