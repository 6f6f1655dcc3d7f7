# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The report on a bundle's quality as JSON and Markdown."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anomalib_stage.metrics.distances import average_gaps
from anomalib_stage.metrics.statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomalib_stage.metrics.copies import CopyDistance
    from anomalib_stage.metrics.distances import Gap
    from anomalib_stage.metrics.traces.forensics import Verdict
    from anomalib_stage.metrics.traces.univariate_detectors import Trace

__all__ = ["TARGET", "Comparison", "Report", "as_json", "markdown"]

TARGET = 0.6
"""AUROC up to which repainted good surface counts as without a fingerprint."""

SHOWN = ("seam", "edge", "contrast", "detail_2", "detail_8")
"""Statistics in the table of defects."""


class Comparison(NamedTuple):
    """Synthetic anomalies of a defect against real ones.

    Args:
        painted (int): Synthetic anomalies.
        against (str): Kind of the real ones.
        gaps (Mapping[str, Gap]): For each statistic.
    """

    painted: int
    against: str
    gaps: Mapping[str, Gap]


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that was measured.

    Args:
        settings (Mapping[str, Any]): What was painted, and how.
        comparisons (Mapping[str, Comparison]): For each synthetic defect, and for ``all``.
        halves (Mapping[str, float]): Distance of real defects to real defects, for each statistic.
        diversity (Mapping[str, Mapping[str, float]]): For each defect, of the ``synthetic`` and of the ``real`` ones.
        copies (CopyDistance): Distance to the nearest real defects.
        verdict (Verdict): How well repainted good surface can be told from untouched surface.
        measure_univariate_traces (Mapping[str, Trace]): How far each statistic gives it away, the most telling first.
        learned (Mapping[str, float | str]): Measures of foreign networks, or why there are none.
    """

    settings: Mapping[str, Any]
    comparisons: Mapping[str, Comparison]
    halves: Mapping[str, float]
    diversity: Mapping[str, Mapping[str, float]]
    copies: CopyDistance
    verdict: Verdict
    measure_univariate_traces: Mapping[str, Trace]
    learned: Mapping[str, float | str]


def as_json(report: Report) -> str:
    """Return the report as JSON; what could not be measured is null."""
    copies = report.copies
    content = {
        "settings": report.settings,
        "detector": {**report.verdict._asdict(), "target": TARGET},
        "traces": {name: trace._asdict() for name, trace in report.measure_univariate_traces.items()},
        "realism": {
            defect: {
                "count": row.painted,
                "against": row.against,
                "mean_distance": average_gaps(row.gaps),
                "statistics": {name: gap._asdict() for name, gap in row.gaps.items()},
            }
            for defect, row in report.comparisons.items()
        },
        "real_halves": {"mean_distance": _mean(report.halves.values()), "statistics": report.halves},
        "diversity": report.diversity,
        "copies": {
            "ratio": copies.ratio,
            "share": copies.copies,
            "median": float(np.median(copies.synthetic.distance)),
            "median_real": float(np.median(copies.real.distance)),
            "smallest": float(copies.synthetic.distance.min()),
        },
        "learned": report.learned,
    }
    return json.dumps(_finite(content), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(report: Report) -> str:
    """Return the report as Markdown tables: the summary, defects, statistics, and what gives the painter away."""
    return "\n\n".join([_summary(report), _defects(report), _statistics(report), _traces(report)])


def _summary(report: Report) -> str:
    verdict, copies, everything = report.verdict, report.copies, report.comparisons["all"]
    synthetic, real = report.diversity["synthetic"], report.diversity["real"]
    rows: list[list[object]] = [
        ["repainted good surface told from untouched, AUROC of a network", verdict.network, f"at most {TARGET}"],
        ["the same, larger half of the masks", verdict.large, f"at most {TARGET}"],
        ["the same, logistic regression on the statistics", verdict.regression, f"at most {TARGET}"],
        ["distance of anomalies' statistics to real ones, mean", average_gaps(everything.gaps), _halves(report)],
        ["distance of their seams", everything.gaps["seam"].distance, f"real halves {report.halves['seam']:.2f}"],
        ["diversity, grey levels", synthetic["all"], f"real {real['all']:.1f}"],
        ["copy distance over that of real ones", copies.ratio, "near or above 1"],
        ["share nearer to a real one than real ones are", copies.copies, "about 0.05"],
    ]
    rows += [[name, value, "-"] for name, value in report.learned.items()]
    return _table(["measure", "value", "good is"], rows)


def _halves(report: Report) -> str:
    return f"real halves {_mean(report.halves.values()):.2f}"


def _defects(report: Report) -> str:
    head = ["anomalies", "count", "against real", "distance", "diversity", "of real"]
    head += [f"{name}, real" for name in SHOWN]
    rows = []
    for defect, row in report.comparisons.items():
        sides = (("synthetic", defect), ("real", row.against))
        spread = [report.diversity[side].get(name, math.nan) for side, name in sides]
        pairs = [f"{_text(row.gaps[name].synthetic)}, {_text(row.gaps[name].real)}" for name in SHOWN]
        rows.append([defect, row.painted, row.against, average_gaps(row.gaps), *spread, *pairs])
    return _table(head, rows)


def _statistics(report: Report) -> str:
    head = ["statistic of anomalies", "synthetic", "real", "distance", "real halves", "meaning"]
    found = report.comparisons["all"].gaps
    rows = [[name, *found[name], report.halves[name], meaning] for name, meaning in STATISTICS.items()]
    return _table(head, rows)


def _traces(report: Report) -> str:
    head = ["statistic of good surface", "AUROC alone", "repainted", "untouched", "meaning"]
    return _table(head, [[name, *trace, STATISTICS[name]] for name, trace in report.measure_univariate_traces.items()])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else "-"  # plus 0: no "-0.00"


def _mean(values: Any) -> float:  # noqa: ANN401 - any numbers
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
