# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Calls without seeds: fresh anomalies each time, and the same ones in the same run again."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.distributed
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.data import DataLoader

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.seeds import CallSeeds, derive_seed
from anomalib_stage.settings import SamplerSettings, SynthesisSettings
from tests.conftest import make_tiny_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = SynthesisSettings(sampler=SamplerSettings(steps=4))
IMAGES = torch.rand(4, 3, 48, 72, generator=torch.Generator().manual_seed(0))


def build(**arguments: Any) -> StageSynthesizer:
    return StageSynthesizer(make_tiny_bundle(), device="cpu", synthesis=FAST, **arguments)


@pytest.fixture(scope="module")
def synth() -> StageSynthesizer:
    return build()


def plan_seeds(synthesizer: StageSynthesizer, count: int = 4) -> list[int]:
    return [job.seed for job in synthesizer.plan(IMAGES[:count])]


def test_every_call_gives_other_masks_and_kinds(synth: StageSynthesizer) -> None:
    plans = [synth.plan(IMAGES) for _ in range(6)]
    for i in range(len(IMAGES)):
        masks = [plan[i].mask for plan in plans]
        assert not any(torch.equal(one, other) for k, one in enumerate(masks) for other in masks[:k])
        assert len({plan[i].defect for plan in plans}) > 1
    assert len({job.seed for plan in plans for job in plan}) == 6 * len(IMAGES)


def test_painted_batches_differ_too(synth: StageSynthesizer) -> None:
    first, second = synth(IMAGES), synth(IMAGES)
    assert not torch.equal(first.mask, second.mask)
    assert set(first.seed).isdisjoint(second.seed)


def test_the_same_run_again_gives_the_same_and_another_seed_others() -> None:
    one, again, other = build(seed=3), build(seed=3), build(seed=4)
    for _ in range(2):
        pairs = [synthesizer(IMAGES) for synthesizer in (one, again, other)]
        assert torch.equal(pairs[0].image, pairs[1].image)
        assert torch.equal(pairs[0].mask, pairs[1].mask)
        assert not torch.equal(pairs[0].mask, pairs[2].mask)
    assert plan_seeds(build()) == plan_seeds(build(seed=0))


def test_the_seeds_are_those_of_the_call_by_position() -> None:
    synthesizer = build(seed=5)
    for call in range(3):
        base = derive_seed(5, "call", call)
        assert plan_seeds(synthesizer) == [derive_seed(base, i) for i in range(4)]


def test_a_pair_says_its_seeds_and_can_be_painted_again(synth: StageSynthesizer) -> None:
    pair = synth(IMAGES)
    again = synth(IMAGES, defects=pair.defect, seeds=pair.seed)
    assert torch.equal(pair.image, again.image)
    assert torch.equal(pair.mask, again.mask)
    assert (pair.seed, pair.defect) == (again.seed, again.defect)
    assert torch.equal(synth(IMAGES, seeds=pair.seed).mask, pair.mask)  # drawn defects come of the seeds as well


def test_a_run_that_resumes_goes_on_with_the_seeds_that_follow() -> None:
    whole, resumed = build(), build()
    seeds = [plan_seeds(whole) for _ in range(5)]
    resumed.calls = 3
    assert [plan_seeds(resumed) for _ in range(2)] == seeds[3:]
    assert resumed.calls == whole.calls == 5


def test_calls_with_seeds_are_as_before_and_not_counted(synth: StageSynthesizer) -> None:
    before = synth.calls
    for seeds in (7, [1, 2, 3, 4]):
        assert torch.equal(synth(IMAGES, seeds=seeds).mask, build()(IMAGES, seeds=seeds).mask)
    assert [job.seed for job in synth.plan(IMAGES, seeds=7)] == [derive_seed(7, i) for i in range(4)]
    assert synth.calls == before


def test_planning_counts_and_painting_what_was_planned_does_not(synth: StageSynthesizer) -> None:
    before = synth.calls
    synth.paint(IMAGES, synth.plan(IMAGES))
    assert synth.calls == before + 1


def test_images_that_are_refused_are_not_counted(synth: StageSynthesizer) -> None:
    before = synth.calls
    with pytest.raises(InputError, match="undo normalisation"):
        synth(IMAGES - 0.5)
    assert synth.calls == before


def test_old_drawing_of_masks_is_fresh_too(synth: StageSynthesizer) -> None:
    with pytest.warns(DeprecationWarning, match="StageSynthesizer.plan"):
        first = synth.draw_masks(IMAGES)
    with pytest.warns(DeprecationWarning, match="StageSynthesizer.plan"):
        second = synth.draw_masks(IMAGES)
    assert not torch.equal(first, second)


def test_no_two_threads_get_the_same_number(synth: StageSynthesizer) -> None:
    fresh, found, start = CallSeeds(0), list[int](), threading.Barrier(8)

    def ask() -> None:
        start.wait()
        for _ in range(500):
            found.extend(fresh.draw(1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 4000
    assert fresh.calls == 4000


def test_a_copy_goes_on_from_where_the_original_was() -> None:
    synthesizer = build(seed=2)
    plan_seeds(synthesizer)
    copies = [copy.deepcopy(synthesizer), pickle.loads(pickle.dumps(synthesizer))]
    following = plan_seeds(synthesizer)
    assert [plan_seeds(other) for other in copies] == [following, following]


def test_a_pickled_planner_takes_seeds_and_has_none_of_its_own(synth: StageSynthesizer) -> None:
    planner = pickle.loads(pickle.dumps(synth.planner))
    with pytest.raises(TypeError, match="seeds"):
        planner.plan(IMAGES, defects=None, masks=None, foregrounds=None)


class Planned:
    """Collates images to the seeds and masks that a worker process plans for them."""

    def __init__(self, synthesizer: StageSynthesizer) -> None:
        self.synthesizer = synthesizer

    def __call__(self, images: list[torch.Tensor]) -> list[tuple[int, bytes]]:
        return [
            (job.seed, job.mask.numpy().tobytes())
            for job in self.synthesizer.plan(torch.stack(images), defects="scratch")
        ]


def load_epochs(epochs: int) -> list[list[tuple[int, bytes]]]:
    """Plan in two worker processes, which begin with the same copy of the counter in each epoch."""
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(
        [*IMAGES, *IMAGES],  # type: ignore[arg-type] # a list will do
        batch_size=2,
        num_workers=2,
        collate_fn=Planned(build()),
        generator=generator,
    )
    return [[job for batch in loader for job in batch] for _ in range(epochs)]


def test_worker_processes_of_a_loader_do_not_repeat_each_other_nor_the_epoch_before() -> None:
    jobs = [job for epoch in load_epochs(2) for job in epoch]
    assert len({seed for seed, _ in jobs}) == len(jobs) == 16
    assert len({mask for _, mask in jobs}) == 16
    assert [job for epoch in load_epochs(2) for job in epoch] == jobs


@pytest.fixture
def second_rank() -> Iterator[None]:
    torch.distributed.init_process_group("fake", rank=1, world_size=2, store=FakeStore())
    yield
    torch.distributed.destroy_process_group()


def test_ranks_get_other_seeds(second_rank: None) -> None:
    drawn = CallSeeds(0).draw(2)
    torch.distributed.destroy_process_group()
    alone = CallSeeds(0).draw(2)
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    assert CallSeeds(0).draw(2) == alone
    assert set(drawn).isdisjoint(alone)


@pytest.mark.parametrize("seed", ["a", 1.5, True, None])
def test_a_seed_that_is_no_integer_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match="seed is .*; give an integer"):
        build(seed=seed)


@pytest.mark.parametrize("calls", [-1, "a", 0.5])
def test_a_number_of_calls_that_cannot_be_is_refused(synth: StageSynthesizer, calls: Any) -> None:
    with pytest.raises(InputError, match="calls is .*; give an integer of 0 or more"):
        synth.calls = calls
