# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a benchmark as tables and a bar plot."""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.evaluation.detection.scores import SCORES
from anomalib_stage.evaluation.detection.source_names import split_source
from anomalib_stage.files.atomic import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["markdown_table", "paired_differences", "write_report"]


def write_report(
    folder: Path, runs: Mapping[str, Mapping[int, Any]], *, settings: Mapping[str, Any], warnings: Sequence[str] = ()
) -> str:
    """Write ``results.json``, ``results.csv``, ``results.md`` and ``results.png``.

    Args:
        folder (Path): Where.
        runs (Mapping[str, Mapping[int, Any]]): Scores of each source, seed and defect (``macro`` and ``self`` too).
        settings (Mapping[str, Any]): What was run.
        warnings (Sequence[str]): What is doubtful about the data, in sentences.

    Returns:
        str: The Markdown table.
    """
    table = markdown_table(runs) + "\n\n" + _differences(runs)
    table += "".join(f"\n\nDoubtful: {warning}" for warning in warnings)
    write_file(folder / "results.json", json.dumps({"settings": settings, "runs": runs}, indent=1).encode())
    write_file(folder / "results.csv", _csv(runs).encode())
    write_file(folder / "results.md", (table + "\n").encode())
    write_file(folder / "results.png", _plot(runs))
    return table


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def markdown_table(runs: Mapping[str, Mapping[int, Any]]) -> str:
    """Lay out mean and standard deviation over seeds: pixel AP by defect, the other scores as means over defects."""
    first = next(iter(next(iter(runs.values())).values()))
    defects = [defect for defect in first if defect not in ("macro", "self")]
    others = [name for name in SCORES if name != "pixel_ap"]
    head = ["anomalies from", "macro pixel AP", *defects, *others, "self AP"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for source, seeds in runs.items():
        rows = list(seeds.values())
        cells = [_spread([row[defect]["pixel_ap"] for row in rows]) for defect in ("macro", *defects)]
        cells += [_spread([row["macro"][name] for row in rows]) for name in others]
        selves = [row["self"]["pixel_ap"] for row in rows if "self" in row]
        lines.append("| " + " | ".join([source, *cells, _spread(selves) if selves else "-"]) + " |")
    return "\n".join(lines)


def paired_differences(runs: Mapping[str, Mapping[int, Any]], one: str, other: str) -> list[float]:
    """Differences of macro pixel AP, one minus other, for the seeds that both have."""
    seeds = sorted(set(runs[one]) & set(runs[other]))
    return [runs[one][seed]["macro"]["pixel_ap"] - runs[other][seed]["macro"]["pixel_ap"] for seed in seeds]


def _differences(runs: Mapping[str, Mapping[int, Any]]) -> str:
    """Every pair of sources, the first by name minus the other, seed by seed."""
    lines = ["| macro pixel AP, seed by seed | mean difference | seeds won |", "|---|---|---|"]
    for one in runs:
        for other in runs:
            if one < other and (values := paired_differences(runs, one, other)):
                won = sum(value > 0 for value in values)
                lines.append(f"| {one} - {other} | {statistics.fmean(values):+.3f} | {won} of {len(values)} |")
    return "\n".join(lines)


def _csv(runs: Mapping[str, Mapping[int, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["source", "seed", "kind", *SCORES])
    for source, seeds in runs.items():
        for seed, defects in seeds.items():
            for defect, scores in defects.items():
                writer.writerow([source, seed, defect, *(scores.get(name, "") for name in SCORES)])
    return stream.getvalue()


def _plot(runs: Mapping[str, Mapping[int, Any]]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ["+".join(Path(part).stem for part in split_source(source)) for source in runs]
    values = [[row["macro"]["pixel_ap"] for row in seeds.values()] for seeds in runs.values()]
    figure = Figure(figsize=(1.5 + 0.9 * len(names), 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(len(names)), [statistics.fmean(row) for row in values], color="#4878a8", width=0.6)
    for position, row in enumerate(values):
        axes.plot([position] * len(row), row, "o", color="#202020", markersize=4)
    axes.set_ylabel("macro pixel AP on real defects")
    axes.set_xticks(range(len(names)), names, rotation=30)
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(stream, format="png")
    return stream.getvalue()
