# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Charts as plain geometry, which a page's template turns into SVG."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BOTTOM", "HEIGHT", "LEFT", "RIGHT", "TOP", "WIDTH", "Bar", "Chart", "Tick"]

WIDTH, HEIGHT = 440.0, 170.0
LEFT, RIGHT, TOP, BOTTOM = 30.0, 10.0, 16.0, 40.0
"""Size of a chart and of the space around its bars, in SVG units."""


@dataclass(frozen=True)
class Bar:
    """A part of a column: where it is drawn, whose it is, and what it says."""

    x: float
    y: float
    width: float
    height: float
    group: str
    note: str


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and where on it."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A histogram ready to be drawn.

    Args:
        title (str): What is counted.
        unit (str): Label of the horizontal axis.
        bars (tuple[Bar, ...]): Parts of the columns; none if there are no values.
        ticks (tuple[Tick, ...]): Numbers on the horizontal axis.
        levels (tuple[Tick, ...]): Numbers on the vertical axis.
        mark (Tick | None): A value to draw a line at.
        size (tuple[float, float]): Width and height of the drawing.
        frame (tuple[float, float, float, float]): Left, top, right and bottom of the plot in the drawing.
    """

    title: str
    unit: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    levels: tuple[Tick, ...]
    mark: Tick | None = None
    size: tuple[float, float] = (WIDTH, HEIGHT)
    frame: tuple[float, float, float, float] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
