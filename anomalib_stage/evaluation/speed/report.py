# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a speed benchmark as tables and a plot."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from anomalib_stage.evaluation.speed.measurements import NAMES, PERLIN, REFERENCE, STAGE
from anomalib_stage.evaluation.speed.plot import draw_plot
from anomalib_stage.evaluation.speed.targets import judge
from anomalib_stage.files.atomic import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from anomalib_stage.evaluation.speed.measurements import Measurements
    from anomalib_stage.evaluation.speed.targets import Target

__all__ = ["write_markdown", "write_results"]


def write_results(folder: Path, results: Measurements) -> None:
    """Write ``results.md``, which documentation can take over as it is, ``results.json`` and ``results.png``.

    Raises:
        DataError: If they cannot be written.
    """
    write_file(folder / "results.md", (write_markdown(results) + "\n").encode())
    content = asdict(results) | {"targets": [asdict(row) for row in judge(results)]}
    write_file(folder / "results.json", json.dumps(content, indent=1).encode())
    if results.times:
        write_file(folder / "results.png", draw_plot(results))


def write_markdown(results: Measurements) -> str:
    """Lay out everything that was measured as Markdown."""
    sections = [
        "\n".join(f"* {name}: {value}" for name, value in results.about.items()),
        _lay_out_table(("", "measured", "target", "met"), map(_word_target, judge(results))),
        *_report_times(results),
        *_report_arithmetic(results),
        *_report_split(results),
        *_report_training(results),
        *_report_memory(results),
    ]
    return "\n\n".join(sections)


def _lay_out_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _word_target(row: Target) -> tuple[str, ...]:
    met = {True: "yes", False: "**no**", None: "-"}[row.met]
    return row.what, row.measured or "not measured", row.target or "-", met


def _report_times(results: Measurements) -> Iterator[str]:
    if not results.times:
        return
    sizes = results.settings["sizes"]
    found: dict[tuple[str, int, int], dict[int, Any]] = {}
    for time in results.times:
        found.setdefault((time.source, time.steps, time.batch_size), {})[time.size] = time
    yield "Milliseconds for one anomalous image:"
    rows = []
    for (source, steps, batch_size), times in found.items():
        measured = {time.measured_steps for time in times.values()}
        share = "all" if measured == {steps} else f"{min(measured)} of {steps}"
        numbers = [f"{times[size].milliseconds:,.0f}" if size in times else "-" for size in sizes]
        name = NAMES[source].format(steps=steps)
        rows.append((name, str(batch_size), "-" if source == PERLIN else share, *numbers))
    yield _lay_out_table(("", "batch", "steps measured", *(f"{size} px" for size in sizes)), rows)


def _report_arithmetic(results: Measurements) -> Iterator[str]:
    counts = results.flops
    if not counts:
        return
    yield "Floating-point operations for one image of 256 px, counted (`torch.utils.flop_counter`):"
    published = counts["published"]
    rows = [
        (NAMES[STAGE].format(steps=results.settings["steps"]), f"{counts[STAGE] / 1e9:,.3g} GFLOP"),
        (NAMES[REFERENCE], f"{counts[REFERENCE] / 1e12:,.3g} TFLOP"),
        (
            f"published method, its own U-Net of {published['parameters'] / 1e6:,.0f} M parameters",
            f"{published['image'] / 1e12:,.0f} TFLOP",
        ),
    ]
    yield _lay_out_table(("", "an image"), rows)


def _report_split(results: Measurements) -> Iterator[str]:
    if not results.split:
        return
    sizes = list(results.split)
    totals = {size: sum(parts.values()) for size, parts in results.split.items()}
    yield "Where the milliseconds go (default steps, with what the profiler costs):"
    rows = [
        (part, *(f"{results.split[size][part]:.1f} ({results.split[size][part] / totals[size]:.1%})" for size in sizes))
        for part in results.split[sizes[0]]
    ]
    yield _lay_out_table(("", *(f"{size} px" for size in sizes)), rows)


def _report_training(results: Measurements) -> Iterator[str]:
    if not results.training:
        return
    yield "Milliseconds of a training step in float32 (median; painting: mean of the steps):"
    rows = [
        (
            name,
            f"{row['without_ms']:,.0f}",
            f"{row['stage_ms']:,.0f}",
            f"{row['painting_ms']:,.0f}",
            f"{row['painted']} in {len(row['stage'])} steps",
        )
        for name, row in results.training.items()
    ]
    yield _lay_out_table(("", "without", "with `StageAugment`", "painting", "images painted"), rows)


def _report_memory(results: Measurements) -> Iterator[str]:
    if not results.memory:
        return
    defect = "allocated on the device" if results.cuda else "resident in the process"
    yield f"Memory that a synthesis adds at its peak, its result included ({defect}):"
    rows = [
        (
            f"{row['size']} px",
            str(row["batch_size"]),
            "-" if row["megabytes"] is None else f"{row['megabytes']:,.0f} MB",
        )
        for row in results.memory
    ]
    yield _lay_out_table(("image", "batch", "memory"), rows)
