# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which image gets what: shares, and one answer for everybody who asks."""

from __future__ import annotations

from collections import Counter

import pytest

from anomalib_stage.plugin.pairs.choice import NOTHING, Choice, Shares, choose

SEEDS = range(4000)


def test_shares_come_out_as_asked() -> None:
    chosen = [choose(seed, Shares(0.4, negatives=0.25)) for seed in SEEDS]
    assert sum(choice.anomalous for choice in chosen) / 4000 == pytest.approx(0.4, abs=0.03)
    negatives = sum(choice == Choice("network", "good") for choice in chosen)
    assert negatives / 4000 == pytest.approx(0.6 * 0.25, abs=0.03)
    assert not Choice("network", "good").anomalous
    assert not NOTHING.anomalous


def test_only_the_wanted_defects_are_chosen_alike() -> None:
    found = Counter(choose(seed, Shares(1.0, defects=["hole", "stain"])).defect for seed in SEEDS)
    assert found.keys() == {"hole", "stain"}
    assert found["hole"] / 4000 == pytest.approx(0.5, abs=0.03)
    assert {choose(seed, Shares(1.0)).defect for seed in range(20)} == {None}


def test_a_bank_leaves_its_share_to_the_network() -> None:
    found = Counter(choose(seed, Shares(0.5, refresh=0.3)).source for seed in SEEDS)
    assert found["bank"] / 4000 == pytest.approx(0.5 * 0.7, abs=0.03)
    assert found["network"] / 4000 == pytest.approx(0.5 * 0.3, abs=0.03)
    assert "bank" not in {choose(seed, Shares(0.5)).source for seed in SEEDS}


def test_who_gets_an_anomaly_does_not_depend_on_where_it_comes_from() -> None:
    live, mixed = Shares(0.5, negatives=0.5), Shares(0.5, negatives=0.5, refresh=0.3)
    for seed in range(500):
        assert choose(seed, live).anomalous == choose(seed, mixed).anomalous
        assert (choose(seed, live) == NOTHING) == (choose(seed, mixed) == NOTHING)
