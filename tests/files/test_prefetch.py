# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest

from anomalib_stage.files.prefetch import map_in_order


def test_results_come_in_order_and_nothing_runs_far_ahead() -> None:
    taken: list[int] = []

    def items() -> object:
        for item in range(20):
            taken.append(item)
            yield item

    def slow(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    for i, result in enumerate(map_in_order(slow, items(), threads=3, ahead=4)):
        assert result == i * i
        assert len(taken) <= i + 5


def test_an_error_comes_where_its_result_would() -> None:
    results = map_in_order(lambda x: 1 // x, [1, 0, 1], threads=2, ahead=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
