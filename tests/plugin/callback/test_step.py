# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The seeds and counts of one training step."""

from __future__ import annotations

import itertools

import torch

from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.callback.step import Step
from anomalib_stage.seeds import derive_seed
from tests.plugin.conftest import good_images, make_pair


def test_a_seed_is_derived_from_rank_epoch_batch_and_sample() -> None:
    assert Step((1, 2, 3)).seeds(9, 2) == [derive_seed(9, 1, 2, 3, 0), derive_seed(9, 1, 2, 3, 1)]


def test_every_rank_epoch_batch_sample_call_and_base_has_its_own_seed() -> None:
    seeds = []
    for base, *key in itertools.product(range(2), repeat=4):
        step = Step((key[0], key[1], key[2]))
        seeds += step.seeds(base, 3) + step.seeds(base, 3)
    assert len(set(seeds)) == len(seeds) == 96


def test_a_repeated_step_has_the_same_seeds_call_by_call() -> None:
    first, again = Step((0, 0, 5)), Step((0, 0, 5))
    assert [first.seeds(0, 2), first.seeds(0, 2)] == [again.seeds(0, 2), again.seeds(0, 2)]


def _pair() -> Pair:
    clean = good_images(3)
    mask = torch.zeros(3, 1, 64, 48, dtype=torch.bool)
    mask[0, 0, :5, :5] = True
    painted = mask.clone()
    painted[1, 0, 8:12, 8:12] = True
    return make_pair(torch.where(painted, 1.0, clean), mask, painted)


def test_anomalies_negatives_and_seconds_are_summed_over_the_calls() -> None:
    step, pair = Step((0, 0, 0)), _pair()
    step.record(pair, put_back=0, seconds=0.5)
    step.record(pair, put_back=1, seconds=0.25)
    assert step.counts == {"images": 6, "anomalies": 2, "negatives": 2, "put_back": 1, "rejected": 0}
    assert step.seconds == 0.75
