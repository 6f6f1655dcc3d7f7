# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The time of an image against its size, as a plot."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from anomalib_stage.evaluation.speed.measurements import NAMES, PERLIN, REFERENCE

if TYPE_CHECKING:
    from anomalib_stage.evaluation.speed.measurements import Measurements

__all__ = ["draw_plot"]


def draw_plot(results: Measurements) -> bytes:
    """Draw the time of an image against its size, as PNG."""
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
