# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""An epoch has every good image once and the pairs whose turn it is."""

from __future__ import annotations

import pytest
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper

from anomalib_stage.plugin.data.sampler import EpochSampler

GOOD, PAIRS = [0, 1, 2, 3], [10, 11, 12, 13, 14, 15]


def _sampler(**changes: object) -> EpochSampler:
    return EpochSampler(GOOD, PAIRS, **({"count": 4, "seed": 0} | changes))


def test_an_epoch_has_every_good_image_and_so_many_pairs() -> None:
    sampler = _sampler()
    epoch = list(sampler)
    assert len(sampler) == len(epoch) == 8
    assert sorted(place for place in epoch if place < 10) == GOOD
    assert len({place for place in epoch if place >= 10}) == 4


def test_every_pair_has_its_turn_before_one_comes_again() -> None:
    sampler = _sampler()
    pairs = [place for _ in range(3) for place in sampler if place >= 10]
    assert sorted(pairs) == sorted(PAIRS * 2)


@pytest.mark.parametrize("count", [0, 1, 6, 15])
def test_any_number_of_pairs_can_be_asked_for(count: int) -> None:
    pairs = [place for place in _sampler(count=count) if place >= 10]
    assert len(pairs) == count
    assert all(abs(pairs.count(one) - count / 6) < 1 for one in PAIRS)


def test_without_pairs_there_are_the_good_images() -> None:
    assert sorted(EpochSampler(GOOD, [], count=4, seed=0)) == GOOD


def test_the_seed_and_the_epoch_decide_all() -> None:
    first, second = _sampler(), _sampler()
    epochs = [list(first) for _ in range(3)]
    second.set_epoch(2)  # as after a resume
    assert list(second) == epochs[2]
    assert epochs[0] != epochs[1]
    assert list(_sampler(seed=1)) != epochs[0]


def test_the_epoch_is_announced_before_its_first_sample() -> None:
    told: list[int] = []
    sampler = _sampler(on_epoch=told.append)
    sampler.set_epoch(5)
    next(iter(sampler))
    next(iter(sampler))
    assert told == [5, 6]


def test_ranks_share_an_epoch_between_them() -> None:
    ranks = [DistributedSamplerWrapper(_sampler(), num_replicas=2, rank=rank, shuffle=False) for rank in (0, 1)]
    for rank in ranks:
        rank.set_epoch(3)
    alone = _sampler()
    alone.set_epoch(3)
    halves = [list(rank) for rank in ranks]
    assert sorted(halves[0] + halves[1]) == sorted(alone)
    assert not set(halves[0]) & set(halves[1])
