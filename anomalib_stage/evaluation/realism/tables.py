# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The report on a bundle's quality as Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from anomalib_stage.evaluation.realism.report import TARGET, compute_mean
from anomalib_stage.metrics.distances import average_gaps
from anomalib_stage.metrics.statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.evaluation.realism.report import Report

__all__ = ["write_markdown"]

SHOWN = ("seam", "edge", "contrast", "detail_2", "detail_8")
"""Statistics in the table of defects."""


def write_markdown(report: Report) -> str:
    """Return the report as Markdown tables: the summary, defects, statistics, and what gives the painter away."""
    return "\n\n".join(
        [_tabulate_summary(report), _tabulate_defects(report), _tabulate_statistics(report), _tabulate_traces(report)]
    )


def _tabulate_summary(report: Report) -> str:
    verdict, copies, everything = report.verdict, report.copies, report.comparisons["all"]
    synthetic, real = report.diversity["synthetic"], report.diversity["real"]
    rows: list[list[object]] = [
        ["repainted good surface told from untouched, AUROC of a network", verdict.network, f"at most {TARGET}"],
        ["the same, larger half of the masks", verdict.large, f"at most {TARGET}"],
        ["the same, logistic regression on the statistics", verdict.regression, f"at most {TARGET}"],
        ["distance of anomalies' statistics to real ones, mean", average_gaps(everything.gaps), _word_halves(report)],
        ["distance of their seams", everything.gaps["seam"].distance, f"real halves {report.halves['seam']:.2f}"],
        ["diversity, grey levels", synthetic["all"], f"real {real['all']:.1f}"],
        ["copy distance over that of real ones", copies.ratio, "near or above 1"],
        ["share nearer to a real one than real ones are", copies.copies, "about 0.05"],
    ]
    rows += [[name, value, "-"] for name, value in report.learned.items()]
    return _lay_out_table(["measure", "value", "good is"], rows)


def _word_halves(report: Report) -> str:
    return f"real halves {compute_mean(report.halves.values()):.2f}"


def _tabulate_defects(report: Report) -> str:
    head = ["anomalies", "count", "against real", "distance", "diversity", "of real"]
    head += [f"{name}, real" for name in SHOWN]
    rows = []
    for defect, row in report.comparisons.items():
        sides = (("synthetic", defect), ("real", row.against))
        spread = [report.diversity[side].get(name, math.nan) for side, name in sides]
        pairs = [f"{_format_value(row.gaps[name].synthetic)}, {_format_value(row.gaps[name].real)}" for name in SHOWN]
        rows.append([defect, row.painted, row.against, average_gaps(row.gaps), *spread, *pairs])
    return _lay_out_table(head, rows)


def _tabulate_statistics(report: Report) -> str:
    head = ["statistic of anomalies", "synthetic", "real", "distance", "real halves", "meaning"]
    found = report.comparisons["all"].gaps
    rows = [[name, *found[name], report.halves[name], meaning] for name, meaning in STATISTICS.items()]
    return _lay_out_table(head, rows)


def _tabulate_traces(report: Report) -> str:
    head = ["statistic of good surface", "AUROC alone", "repainted", "untouched", "meaning"]
    return _lay_out_table(head, [[name, *trace, STATISTICS[name]] for name, trace in report.traces.items()])


def _lay_out_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([_format_value(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _format_value(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else "-"  # plus 0: no "-0.00"
