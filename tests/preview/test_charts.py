# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.preview.charts import Chart
from anomalib_stage.preview.histogram import build_histogram

values = st.lists(st.floats(0.0, 1e7), max_size=30)


def drawn(**groups: list[float]) -> Chart:
    return build_histogram(groups, title="Sizes", unit="px")


def counted(chart: Chart, group: str) -> int:
    """Sum the heights of a group's bars, in units of one value."""
    [zero, one, *_] = chart.levels
    unit = (zero.at - one.at) / int(one.text)
    return round(sum(bar.height for bar in chart.bars if bar.group == group) / unit)


@settings(max_examples=60, deadline=None)
@given(bad=values, fair=values, mark=st.none() | st.floats(0.1, 100.0))
def test_every_value_is_in_a_bar_and_every_bar_in_the_frame(
    bad: list[float], fair: list[float], mark: float | None
) -> None:
    chart = build_histogram(
        {"bad": bad, "fair": fair}, title="t", unit="u", mark=None if mark is None else (mark, "least")
    )
    left, top, right, bottom = chart.frame
    assert counted(chart, "bad") == len(bad)
    assert counted(chart, "fair") == len(fair)
    for bar in chart.bars:
        assert left <= bar.x < bar.x + bar.width <= right
        assert top - 0.02 <= bar.y < bar.y + bar.height <= bottom + 0.02
    assert all(left <= tick.at <= right for tick in chart.ticks)
    assert chart.mark is None or left <= chart.mark.at <= right
    assert len({tick.text for tick in chart.ticks}) == len(chart.ticks)


def test_bars_of_a_bin_stand_on_each_other() -> None:
    lower, upper = drawn(bad=[5.0, 5.1], fair=[5.0]).bars
    assert lower.x == upper.x
    assert upper.y + upper.height == pytest.approx(lower.y, abs=0.02)
    assert lower.note == "bad: 2 from 4 to 5.66"


def test_bins_are_even_on_a_logarithmic_scale() -> None:
    first, second, third = drawn(bad=[3.0, 6.0, 12.0]).bars
    assert second.x - first.x == pytest.approx(third.x - second.x, abs=0.02)


def test_without_values_there_are_axes_and_no_bars() -> None:
    chart = drawn(bad=[], fair=[])
    assert not chart.bars
    assert chart.ticks
    assert [level.text for level in chart.levels] == ["0", "1"]


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_cannot_be_counted_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="Sizes: .* must be finite"):
        drawn(bad=[1.0, value])
