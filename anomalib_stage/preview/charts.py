# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Charts as plain geometry, which a page's template turns into SVG."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SIZE", "Bar", "Chart", "ChartSize", "Tick"]


@dataclass(frozen=True)
class ChartSize:
    """Size of a chart and of the space around its bars, in SVG units.

    Args:
        width (float): Of the whole drawing; a page scales it to the room it has.
        height (float): Of the whole drawing.
        left (float): Room for three digits.
        right (float): Room for half of the last number.
        top (float): Room for the text at a mark.
        bottom (float): Room for numbers and the unit below them.
    """

    width: float = 440.0
    height: float = 170.0
    left: float = 30.0
    right: float = 10.0
    top: float = 16.0
    bottom: float = 40.0

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the plot in the drawing."""
        return self.left, self.top, self.width - self.right, self.height - self.bottom


SIZE = ChartSize()


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
    size: tuple[float, float] = (SIZE.width, SIZE.height)
    frame: tuple[float, float, float, float] = SIZE.frame
