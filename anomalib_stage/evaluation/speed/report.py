# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a speed benchmark as tables and a plot."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from anomalib_stage.evaluation.speed.results import PERLIN, REFERENCE, SAME, STAGE
from anomalib_stage.files.atomic import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from anomalib_stage.evaluation.speed.results import Results, Row

__all__ = ["markdown", "write_results"]

NAMES = {
    STAGE: "default bundle, {steps} steps",
    SAME: "the same, defects of one size in pixels",
    PERLIN: "anomalib's Perlin noise",
    REFERENCE: "published sampler, this network, whole image",
}


def write_results(folder: Path, results: Results) -> None:
    """Write ``results.md``, which documentation can take over as it is, ``results.json`` and ``results.png``.

    Raises:
        DataError: If they cannot be written.
    """
    write_file(folder / "results.md", (markdown(results) + "\n").encode())
    write_file(folder / "results.json", json.dumps(results.as_json(), indent=1).encode())
    if results.times:
        write_file(folder / "results.png", _plot(results))


def markdown(results: Results) -> str:
    """Lay out everything that was measured as Markdown."""
    sections = [
        "\n".join(f"* {name}: {value}" for name, value in results.about.items()),
        _table(("", "measured", "target", "met"), map(_target_row, results.targets())),
        *_times(results),
        *_arithmetic(results),
        *_split(results),
        *_training(results),
        *_memory(results),
    ]
    return "\n\n".join(sections)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _target_row(row: Row) -> tuple[str, ...]:
    met = {True: "yes", False: "**no**", None: "-"}[row.met]
    return row.what, row.measured or "not measured", row.target or "-", met


def _times(results: Results) -> Iterator[str]:
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
    yield _table(("", "batch", "steps measured", *(f"{size} px" for size in sizes)), rows)


def _arithmetic(results: Results) -> Iterator[str]:
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
    yield _table(("", "an image"), rows)


def _split(results: Results) -> Iterator[str]:
    if not results.split:
        return
    sizes = list(results.split)
    totals = {size: sum(parts.values()) for size, parts in results.split.items()}
    yield "Where the milliseconds go (default steps; each part waits for the device):"
    rows = [
        (part, *(f"{results.split[size][part]:.1f} ({results.split[size][part] / totals[size]:.1%})" for size in sizes))
        for part in results.split[sizes[0]]
    ]
    yield _table(("", *(f"{size} px" for size in sizes)), rows)


def _training(results: Results) -> Iterator[str]:
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
    yield _table(("", "without", "with `StageAugment`", "painting", "images painted"), rows)


def _memory(results: Results) -> Iterator[str]:
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
    yield _table(("image", "batch", "memory"), rows)


def _plot(results: Results) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    batch = results.settings["batch_size"]
    lines: dict[str, list[tuple[int, float]]] = {}
    for time in results.times:
        if time.batch_size in (1, batch) and (time.batch_size == batch or time.source in (PERLIN, REFERENCE)):
            lines.setdefault(NAMES[time.source].format(steps=time.steps), []).append((time.size, time.milliseconds))
    for name, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), "o-", label=name, markersize=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(results.settings["sizes"], [f"{size}" for size in results.settings["sizes"]])
    axes.set_xlabel("side of the image in pixels")
    axes.set_ylabel("milliseconds for one anomalous image")
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(stream, format="png")
    return stream.getvalue()
