# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""No false labels: what is not visible is painted again, and at last stays good."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from anomalib_stage.pipeline.jobs import Job, Patch
from anomalib_stage.pipeline.region_painter import RegionPainter, load_backbone
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.synthesis.blend.visibility import measure_visibility

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

QUICK = SamplerSettings(steps=4)


def synthesizer(path: Path, **gate: float) -> StageSynthesizer:
    settings = SynthesisSettings(sampler=QUICK, gate=GateSettings(**gate))
    return StageSynthesizer.from_pretrained(path, device="cpu", synthesis=settings)


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 56, 72, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[list[Job]]:
    """Jobs of each round, as the real painter gets them."""
    rounds: list[list[Job]] = []
    paint = RegionPainter.paint

    def listen(self: RegionPainter, images: Tensor, jobs: Sequence[Job]) -> list[Patch]:
        rounds.append(list(jobs))
        return paint(self, images, jobs)

    monkeypatch.setattr(RegionPainter, "paint", listen)
    return rounds


def test_an_anomaly_that_can_never_be_seen_leaves_the_image_good(tiny_bundle_path: Path) -> None:
    clean = images(3)
    pair = synthesizer(tiny_bundle_path, min_visibility=1e9)(clean, seeds=1)
    assert torch.equal(pair.image, clean)
    assert not pair.mask.any()
    assert not pair.painted.any()
    assert not pair.label.any()
    assert pair.rejected.all()
    assert (pair.visibility > 0).all()


def test_good_surface_is_never_rejected(tiny_bundle_path: Path) -> None:
    pair = synthesizer(tiny_bundle_path, min_visibility=1e9)(images(2), defects="good", seeds=1)
    assert pair.painted.flatten(1).any(dim=1).all()
    assert not pair.rejected.any()
    assert not pair.label.any()


def test_it_is_tried_with_new_noise_then_with_a_new_mask(tiny_bundle_path: Path, jobs: list[list[Job]]) -> None:
    synthesizer(tiny_bundle_path, min_visibility=1e9, max_tries=5)(images(1), seeds=1)
    tries = [job for [job] in jobs]
    assert [job.attempt for job in tries] == [0, 1, 2, 3, 4]
    same = [torch.equal(one.mask, other.mask) for one, other in pairwise(tries)]
    assert same == [True, False, True, False]


def test_a_mask_that_was_given_is_kept_in_every_try(tiny_bundle_path: Path, jobs: list[list[Job]]) -> None:
    mask = torch.zeros(1, 1, 56, 72, dtype=torch.bool)
    mask[..., 20:30, 20:40] = True
    synthesizer(tiny_bundle_path, min_visibility=1e9, max_tries=4)(images(1), masks=mask, seeds=1)
    assert len(jobs) == 4
    assert all(torch.equal(job.mask, mask[0]) for [job] in jobs)


def test_only_what_failed_is_painted_again_and_neighbours_do_not_change(
    tiny_bundle_path: Path, jobs: list[list[Job]]
) -> None:
    clean = images(8)
    free = synthesizer(tiny_bundle_path, min_visibility=0.0)(clean, seeds=1)
    bar = float(free.visibility.median())
    jobs.clear()
    pair = synthesizer(tiny_bundle_path, min_visibility=bar, min_agreement=0.0)(clean, seeds=1)
    passed = free.visibility >= bar
    assert len(jobs[0]) == 8
    assert len(jobs[1]) == int((~passed).sum())
    assert torch.equal(pair.image[passed], free.image[passed])
    assert torch.equal(pair.mask[passed], free.mask[passed])
    assert (pair.visibility[pair.label] >= bar).all()
    alone = [
        synthesizer(tiny_bundle_path, min_visibility=bar, min_agreement=0.0)(clean[i : i + 1], seeds=[pair.seed[i]])
        for i in range(8)
    ]
    assert torch.equal(torch.cat([one.mask for one in alone]), pair.mask)


def test_what_is_labelled_anomalous_is_visible_when_measured_again(tiny_bundle_path: Path) -> None:
    clean = images(6)
    pair = synthesizer(tiny_bundle_path, min_visibility=1.5)(clean, seeds=4)
    again = measure_visibility(clean, pair.image, pair.mask)
    assert (again.score[pair.label] > 1.0).all()


def test_trim_takes_out_only_what_did_not_change_visibly(tiny_bundle_path: Path) -> None:
    clean = images(6)
    whole, trimmed = (
        StageSynthesizer.from_pretrained(
            tiny_bundle_path,
            device="cpu",
            synthesis=SynthesisSettings(
                sampler=QUICK,
                masks=MaskSettings(extent=(0.5, 0.5)),
                gate=GateSettings(min_visibility=0.1, min_agreement=0.0, trim=trim),
                strength=(0.04, 0.08),
            ),
        )(clean, seeds=2)
        for trim in (False, True)
    )
    assert not (trimmed.mask & ~whole.mask).any()
    assert trimmed.mask.sum() < whole.mask.sum()
    assert torch.equal(torch.where(trimmed.painted, clean, trimmed.image), clean)
    assert torch.equal(torch.where(trimmed.painted, trimmed.image, whole.image), whole.image)


def test_a_weaker_anomaly_changes_less(tiny_bundle_path: Path) -> None:
    clean, gate = images(6), GateSettings(min_visibility=0.0)
    changes = []
    for strength in (0.1, 0.4, 0.7, 1.0):
        settings = SynthesisSettings(sampler=QUICK, gate=gate, strength=(strength, strength))
        pair = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=settings)(clean, seeds=5)
        changes.append(float((pair.image - clean).abs()[pair.mask.expand(-1, 3, -1, -1)].mean()))
    assert changes == sorted(changes)
    assert changes[0] < 0.3 * changes[-1]


def test_the_strength_of_a_range_is_drawn_from_each_seed(tiny_bundle_path: Path, jobs: list[list[Job]]) -> None:
    settings = SynthesisSettings(sampler=QUICK, gate=GateSettings(min_visibility=0.0), strength=(0.2, 0.8))
    StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=settings)(images(6), seeds=5)
    strengths = [job.strength for job in jobs[0]]
    assert len(set(strengths)) == 6
    assert all(0.2 <= value <= 0.8 for value in strengths)


def test_masks_lie_where_they_may(tiny_bundle_path: Path) -> None:
    allowed = torch.zeros(4, 1, 56, 72, dtype=torch.bool)
    allowed[..., 10:40, 30:60] = True
    settings = SynthesisSettings(
        sampler=QUICK, masks=MaskSettings(extent=(0.1, 1.0)), gate=GateSettings(min_visibility=0.0)
    )
    synth = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=settings)
    pair = synth(images(4), foregrounds=allowed, seeds=3)
    assert pair.mask.flatten(1).any(dim=1).all()
    assert not (pair.mask & ~allowed).any()
    planned = synth.plan(images(4), foregrounds=allowed, seeds=3)
    assert torch.equal(torch.stack([job.mask for job in planned]), pair.mask)


def test_a_job_depends_on_nothing_but_itself(tiny_bundle_path: Path, jobs: list[list[Job]]) -> None:
    synth = synthesizer(tiny_bundle_path, min_visibility=0.0)
    synth(images(4), seeds=9)
    [together] = jobs
    options = {"device": torch.device("cpu"), "settings": synth.settings}
    painter = RegionPainter(load_backbone(synth.bundle, **options), **options)
    first = painter.paint(images(4), together)[2]
    [again] = painter.paint(images(4)[2:3], [replace(together[2], index=0)])
    assert again.region == first.region
    torch.testing.assert_close(again.pixels, first.pixels, atol=1e-5, rtol=0)
    assert again.score == pytest.approx(first.score, abs=1e-3)
