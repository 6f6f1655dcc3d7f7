# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of clean estimates: colour, contrast, texture, range and strength."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anomalib_stage.synthesis.appearance.appearance import measure_appearance
from anomalib_stage.synthesis.diffusion.constraint import build_constraint, unconstrained
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.sampling import sample_graded
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE, Schedule


def _conditioning(channels: int = 12) -> Conditioning:
    clean = torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.4
    mask = torch.zeros(2, channels, 8, 8)
    mask[0, :, 2:5, 3:6] = 1
    mask[1, :, 0:2, 0:2] = 1
    return Conditioning(clean, mask, torch.zeros(2, 1))


def _noise(conditioning: Conditioning) -> torch.Tensor:
    return torch.randn(conditioning.clean.shape, generator=torch.Generator().manual_seed(2))


def _wavy(x, t, *, conditioning, aligned, branch):
    del conditioning, aligned, branch
    return torch.sin(3 * x) + (t.float() / 1000).view(-1, 1, 1, 1)


def test_nothing_asked_is_nothing_changed() -> None:
    given = _conditioning()
    assert torch.equal(build_constraint(given)(given.clean), given.clean)
    assert unconstrained(given.clean) is given.clean


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_texture_is_a_share_of_every_estimate_inside_the_mask(weight: float) -> None:
    given = _conditioning()
    texture = given.clean * 0.5 - 0.3
    asked = build_constraint(given, texture=texture, texture_weight=torch.full((2,), weight))
    schedule, noise = Schedule(COMPACT_SCHEDULE), _noise(given)
    painted = sample_graded(_wavy, given, schedule=schedule, noise=noise, windows=(), constrain=asked)
    inside = given.mask > 0
    assert torch.equal(painted[~inside], given.clean[~inside])
    distance = (painted - texture)[inside].abs().mean().item()
    free = sample_graded(_wavy, given, schedule=schedule, noise=noise, windows=())
    away = (free - texture)[inside].abs().mean().item()
    assert distance == pytest.approx((1.0 - weight) * away, abs=0.6 * away if 0 < weight < 1 else 1e-5)
    assert distance <= away


@pytest.mark.parametrize("strength", [None, torch.tensor([0.3, 1.0])])
def test_where_everything_is_texture_the_estimate_does_not_matter(strength: torch.Tensor | None) -> None:
    given = _conditioning()
    asked = build_constraint(
        given, texture=given.clean * 0.5 - 0.3, texture_weight=torch.ones(2), clip=1.05, strength=strength
    )
    inside = given.mask > 0
    assert torch.equal(asked(given.clean)[inside], asked(_noise(given))[inside])


def test_strength_goes_part_of_the_way_from_the_clean_latent() -> None:
    given, estimate = _conditioning(), torch.ones(2, 12, 8, 8)
    weak = build_constraint(given, strength=torch.tensor([0.25, 1.0]))(estimate)
    torch.testing.assert_close(weak[0], given.clean[0] + 0.25 * (estimate[0] - given.clean[0]))
    assert torch.equal(weak[1], estimate[1])


def test_estimates_are_clipped_before_strength_weakens_them() -> None:
    given = _conditioning()
    assert build_constraint(given, clip=1.05)(torch.full((2, 12, 8, 8), 9.0)).max() == 1.05
    weak = build_constraint(given, clip=1.0, strength=torch.tensor([0.5, 0.5]))(torch.full((2, 12, 8, 8), 9.0))
    torch.testing.assert_close(weak, given.clean + 0.5 * (1.0 - given.clean))


def test_wanted_colour_and_contrast_hold_inside_the_mask_and_only_there() -> None:
    given = _conditioning()
    given = replace(given, filled=torch.zeros_like(given.clean), contrast=torch.tensor([0.1, 0.2]))
    estimate = _noise(given) * 2.0 + 0.7
    held = build_constraint(given)(estimate)
    inside = given.mask > 0
    assert torch.equal(held[~inside], estimate[~inside])
    found = measure_appearance(held, given.mask, given.filled)
    torch.testing.assert_close(found[:, :3], torch.zeros(2, 3), atol=1e-5, rtol=0)
    assert bool((found[:, 3] <= given.contrast + 1e-4).all())
