# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The report on a bundle's quality, and it as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anomalib_stage.metrics.distances import average_gaps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomalib_stage.metrics.copies import CopyDistance
    from anomalib_stage.metrics.distances import Gap
    from anomalib_stage.metrics.traces.forensics import Verdict
    from anomalib_stage.metrics.traces.univariate_detectors import Trace

__all__ = ["TARGET", "Comparison", "Report", "compute_mean", "write_json"]

TARGET = 0.6
"""AUROC up to which repainted good surface counts as without a fingerprint."""


class Comparison(NamedTuple):
    """Synthetic anomalies of a defect against real ones.

    Args:
        painted (int): Synthetic anomalies.
        against (str): Defect of the real ones.
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
        traces (Mapping[str, Trace]): How far each statistic gives it away, the most telling first.
        learned (Mapping[str, float | str]): Measures of foreign networks, or why there are none.
    """

    settings: Mapping[str, Any]
    comparisons: Mapping[str, Comparison]
    halves: Mapping[str, float]
    diversity: Mapping[str, Mapping[str, float]]
    copies: CopyDistance
    verdict: Verdict
    traces: Mapping[str, Trace]
    learned: Mapping[str, float | str]


def write_json(report: Report) -> str:
    """Return the report as JSON; what could not be measured is null."""
    copies = report.copies
    content = {
        "settings": report.settings,
        "detector": {**report.verdict._asdict(), "target": TARGET},
        "traces": {name: trace._asdict() for name, trace in report.traces.items()},
        "realism": {
            defect: {
                "count": row.painted,
                "against": row.against,
                "mean_distance": average_gaps(row.gaps),
                "statistics": {name: gap._asdict() for name, gap in row.gaps.items()},
            }
            for defect, row in report.comparisons.items()
        },
        "real_halves": {"mean_distance": compute_mean(report.halves.values()), "statistics": report.halves},
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
    return json.dumps(_replace_infinite(content), indent=1, allow_nan=False)


def _replace_infinite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _replace_infinite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compute_mean(values: Any) -> float:  # noqa: ANN401 - any numbers
    """Return the mean of the finite ones; without any NaN."""
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
