# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Histograms over octaves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.errors import InputError
from anomalib_stage.preview.charts import SIZE, Bar, Chart, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["build_histogram"]


@dataclass(frozen=True)
class Scale:
    """What bins and numbers a histogram has.

    Args:
        bins_per_octave (int): Half an octave is what one sees as another size.
        min_bins (int): Fewer do not look like a distribution.
        max_ticks (int): More numbers on the horizontal axis would touch.
        levels (int): About as many numbers are on the vertical axis.
        smallest (float): Smaller values, zero too, count as this one: the scale is logarithmic.
    """

    bins_per_octave: int = 2
    min_bins: int = 8
    max_ticks: int = 9
    levels: int = 3
    smallest: float = 1.0 / 16.0


SCALE = Scale()


def build_histogram(
    groups: Mapping[str, Sequence[float]], *, title: str, unit: str, mark: tuple[float, str] | None = None
) -> Chart:
    """Count values in bins of half an octave, the groups of a bin on top of each other.

    Args:
        groups (Mapping[str, Sequence[float]]): Finite values of at least 0 by group, drawn from the bottom up.
        title (str): What is counted.
        unit (str): Label of the horizontal axis.
        mark (tuple[float, str] | None): A positive value to draw a line at, with its text.

    Returns:
        Chart: Without bars if no group has a value.

    Raises:
        InputError: If a value is negative or not finite.
    """
    values = [value for group in groups.values() for value in group]
    for value in values:
        if not (math.isfinite(value) and value >= 0.0):
            msg = f"{title}: {value} cannot be counted; values must be finite and at least 0"
            raise InputError(msg)
    first, last = _choose_bins(values + ([mark[0]] if mark else []))
    left, top, right, bottom = SIZE.frame
    step = (right - left) / (last - first)
    counts = {name: _count_values(group, first=first, last=last) for name, group in groups.items()}
    highest = max((sum(column) for column in zip(*counts.values(), strict=True)), default=0)
    levels = _choose_levels(highest)
    unit_height = (bottom - top) / max(levels[-1], 1)

    def place(value: float) -> float:
        return left + step * (_compute_position(value) - first)

    bars = []
    base = [bottom] * (last - first)
    for name, column in counts.items():
        for i, count in enumerate(column):
            if count:
                base[i] -= count * unit_height
                low, high = (_format_number(_compute_edge(first + edge)) for edge in (i, i + 1))
                note = f"{name}: {count} from {low} to {high}"
                x, width = round(left + step * i + 1.0, 2), round(step - 2.0, 2)
                bars.append(Bar(x, round(base[i], 2), width, round(count * unit_height, 2), name, note))
    octaves = range(-(-first // SCALE.bins_per_octave), last // SCALE.bins_per_octave + 1)
    shown = octaves[:: -(-len(octaves) // SCALE.max_ticks)]
    return Chart(
        title=title,
        unit=unit,
        bars=tuple(bars),
        ticks=tuple(Tick(round(place(2.0**octave), 2), _format_number(2.0**octave)) for octave in shown),
        levels=tuple(Tick(round(bottom - level * unit_height, 2), str(level)) for level in levels),
        mark=Tick(round(place(mark[0]), 2), mark[1]) if mark else None,
    )


def _compute_position(value: float) -> float:
    return SCALE.bins_per_octave * math.log2(max(value, SCALE.smallest))


def _compute_edge(position: int) -> float:
    return float(2.0 ** (position / SCALE.bins_per_octave))


def _choose_bins(values: Sequence[float]) -> tuple[int, int]:
    """First and last edge of bins that hold all values, and are not too few to look like a distribution."""
    positions = [_compute_position(value) for value in values] or [0.0]
    first, last = math.floor(min(positions)), math.floor(max(positions)) + 1
    missing = max(SCALE.min_bins - (last - first), 0)
    return first - missing // 2, last + missing - missing // 2


def _count_values(values: Sequence[float], *, first: int, last: int) -> list[int]:
    counts = [0] * (last - first)
    for value in values:
        counts[math.floor(_compute_position(value)) - first] += 1
    return counts


def _choose_levels(highest: int) -> list[int]:
    """Whole numbers from 0 to at least the highest count, about evenly spaced."""
    step = max(-(-highest // SCALE.levels), 1)
    return list(range(0, max(highest, 1) + step, step))


def _format_number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
