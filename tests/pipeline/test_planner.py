# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Plan, then paint: jobs are plain data that can be made elsewhere, and painting adds no decision."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.planner import Planner
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.weights.bundle import StageBundle

SETTINGS = SynthesisSettings(
    sampler=SamplerSettings(steps=4),
    masks=MaskSettings(displaced=0.5),
    gate=GateSettings(min_visibility=1.3),
    strength=(0.5, 1.0),
)


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, 64, 72, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4


@pytest.fixture(scope="module")
def synthesizer(tiny_bundle: StageBundle) -> StageSynthesizer:
    return StageSynthesizer(tiny_bundle, device="cpu", synthesis=SETTINGS)


def plain(job: Job) -> dict[str, Any]:
    """Everything that a job says, comparable."""
    values = {field.name: getattr(job, field.name) for field in fields(job)}
    values["mask"] = values["mask"].numpy().tobytes()
    values["foreground"] = None if job.foreground is None else job.foreground.numpy().tobytes()
    if job.exemplar is not None:
        values["exemplar"] = (job.exemplar.pixels.tobytes(), *job.exemplar[1:])
    return values


def alike(jobs: Sequence[Job], others: Sequence[Job]) -> bool:
    return [plain(job) for job in jobs] == [plain(job) for job in others]


def plan_elsewhere(planner: Planner, clean: torch.Tensor, seeds: list[int]) -> list[Job]:
    return planner.plan(clean, defects=None, masks=None, foregrounds=None, seeds=seeds)


def test_a_call_is_a_plan_and_its_painting(synthesizer: StageSynthesizer) -> None:
    clean = images()
    jobs = synthesizer.plan(clean, seeds=3)
    assert [job.index for job in jobs] == list(range(6))
    pair, again = synthesizer(clean, seeds=3), synthesizer.paint(clean, jobs)
    assert torch.equal(pair.image, again.image)
    assert torch.equal(pair.mask, again.mask)
    assert pair.defect == again.defect == [job.defect for job in jobs]
    assert pair.seed == again.seed == [job.seed for job in jobs]


def test_painting_changes_no_job_and_may_be_repeated(synthesizer: StageSynthesizer) -> None:
    clean = images()
    jobs = synthesizer.plan(clean, seeds=3)
    before = [plain(job) for job in jobs]
    first, second = synthesizer.paint(clean, jobs), synthesizer.paint(clean, jobs)
    assert [plain(job) for job in jobs] == before
    assert torch.equal(first.image, second.image)


def test_jobs_are_plain_data(synthesizer: StageSynthesizer) -> None:
    jobs = synthesizer.plan(images(), defects="stain", seeds=5)
    assert any(job.exemplar is not None for job in jobs)
    copies = pickle.loads(pickle.dumps(jobs))
    assert alike(copies, jobs)
    clean = images()
    assert torch.equal(synthesizer.paint(clean, copies).image, synthesizer.paint(clean, jobs).image)


def test_a_thread_and_a_process_without_a_network_plan_the_same(synthesizer: StageSynthesizer) -> None:
    seeds, clean = [7, 8, 9, 10, 11, 12], images()
    here = synthesizer.plan(clean, seeds=seeds)
    with ThreadPoolExecutor(4) as threads:
        plans = [threads.submit(plan_elsewhere, synthesizer.planner, clean, seeds) for _ in range(8)]
        assert all(alike(plan.result(), here) for plan in plans)
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as processes:
        assert alike(processes.submit(plan_elsewhere, synthesizer.planner, clean, seeds).result(), here)


def test_a_planner_holds_no_network(tiny_bundle: StageBundle) -> None:
    assert len(pickle.dumps(Planner(tiny_bundle, settings=SETTINGS))) < 20_000


def test_images_without_a_job_stay_as_they_are(synthesizer: StageSynthesizer) -> None:
    clean = images()
    jobs = synthesizer.plan(clean, seeds=3)
    some = synthesizer.paint(clean, [jobs[4], jobs[1]])
    every = synthesizer.paint(clean, jobs)
    for i in range(6):
        expected = every.image[i] if i in {1, 4} else clean[i]
        torch.testing.assert_close(some.image[i], expected, atol=1e-5, rtol=0)
    assert some.defect == ["", jobs[1].defect, "", "", jobs[4].defect, ""]
    assert not some.painted[[0, 2, 3, 5]].any()
    assert not some.rejected[[0, 2, 3, 5]].any()
    nothing = synthesizer.paint(clean, [])
    assert torch.equal(nothing.image, clean)
    assert not nothing.label.any()


def test_decisions_are_made_once_and_stand_in_the_job(synthesizer: StageSynthesizer) -> None:
    jobs = synthesizer.plan(images(40), defects="stain", seeds=0)
    assert len({job.strength for job in jobs}) == 40
    assert all(0.5 <= job.strength <= 1.0 for job in jobs)
    taken = [job for job in jobs if job.transfer is not None]
    assert 5 < len(taken) < 35
    assert all(job.exemplar is not None and job.softness == 0.0 for job in taken)
    assert len({job.softness for job in jobs if job.transfer is None}) > 5
    good = synthesizer.plan(images(2), defects="good", seeds=0)
    assert [(job.strength, job.softness) for job in good] == [(1.0, 0.0)] * 2


def test_another_try_has_fresh_noise_then_a_fresh_mask(synthesizer: StageSynthesizer) -> None:
    clean = images(4)
    first = synthesizer.plan(clean, seeds=1)
    second = synthesizer.planner.plan_again(first, clean)
    third = synthesizer.planner.plan_again(second, clean)
    assert [job.attempt for job in (first[0], second[0], third[0])] == [0, 1, 2]
    assert all(torch.equal(one.mask, other.mask) for one, other in zip(first, second, strict=True))
    assert not all(torch.equal(one.mask, other.mask) for one, other in zip(second, third, strict=True))
    assert {job.defect for job in third} <= {job.defect for job in first}
    some = synthesizer.planner.plan_again(second[2:], clean)  # whoever fails with it
    assert alike(some, third[2:])


def test_given_masks_are_kept_in_other_tries(synthesizer: StageSynthesizer) -> None:
    masks = torch.zeros(2, 1, 64, 72, dtype=torch.bool)
    masks[..., 20:30, 20:40] = True
    jobs = synthesizer.plan(images(2), masks=masks, seeds=1)
    for _ in range(3):
        jobs = synthesizer.planner.plan_again(jobs, images(2))
    assert all(torch.equal(job.mask, masks[job.index]) for job in jobs)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"index": 6}, "for image 6; give at most one for each of the 6 images"),
        ({"index": -1}, "for image -1"),
        ({"index": 1}, "for image 1; give at most one"),
        ({"defect": "moss"}, "paints 'moss'; this bundle paints scratch"),
        ({"mask": torch.ones(1, 32, 32, dtype=torch.bool)}, r"planned for \(32, 32\) px and the image has \(64, 72\)"),
    ],
)
def test_jobs_of_other_images_or_bundles_are_refused(
    synthesizer: StageSynthesizer, changed: dict[str, Any], message: str
) -> None:
    jobs = synthesizer.plan(images(), seeds=3)
    with pytest.raises(InputError, match=message):
        synthesizer.paint(images(), [replace(jobs[0], **changed), *jobs[1:]])


def test_the_old_names_work_and_say_the_new_ones(synthesizer: StageSynthesizer) -> None:
    clean = images(2)
    with pytest.warns(DeprecationWarning, match="StageSynthesizer.plan"):
        masks = synthesizer.draw_masks(clean, seeds=2)
    assert torch.equal(masks, torch.stack([job.mask for job in synthesizer.plan(clean, seeds=2)]))
    with pytest.warns(DeprecationWarning, match="StageSynthesizer.defects now"):
        assert synthesizer.kinds == synthesizer.defects


def test_what_a_plan_takes_of_the_images_is_read_only(synthesizer: StageSynthesizer) -> None:
    clean = images()
    before = clean.clone()
    synthesizer.paint(clean, synthesizer.plan(clean, seeds=3))
    assert np.array_equal(before.numpy(), clean.numpy())
