# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The graded sampler: parity with diffusers, closed forms, tables, background."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.diffusion.alignment import align_mask, find_window_steps
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.sampling import sample_graded
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE, REFERENCE_SCHEDULE, Schedule


def _guidance(mask: torch.Tensor, *, channels: int = 4) -> Conditioning:
    clean = torch.randn(len(mask), channels, *mask.shape[2:], generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    return Conditioning(clean, mask, torch.zeros(len(mask), 1))


def _noise(conditioning: Conditioning, seed: int = 2) -> torch.Tensor:
    return torch.randn(conditioning.clean.shape, generator=torch.Generator().manual_seed(seed))


def _square(size: int = 8) -> torch.Tensor:
    mask = torch.zeros(2, 1, size, size)
    mask[0, :, 2:5, 3:6] = 1
    mask[1, :, 0, 0] = 1
    return mask


def _wavy(x, t, *, conditioning, aligned, branch):
    del conditioning, aligned, branch
    return torch.sin(3 * x) + (t.float() / 1000).view(-1, 1, 1, 1)


@pytest.mark.parametrize("config", [REFERENCE_SCHEDULE, COMPACT_SCHEDULE], ids=["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [4, 10, 50])
def test_one_branch_and_full_mask_is_the_diffusers_ddim_loop(config: dict, steps: int) -> None:
    conditioning = _guidance(torch.ones(2, 1, 8, 8))
    noise = _noise(conditioning)
    scheduler = DDIMScheduler(**config, timestep_spacing="trailing", clip_sample=False)
    scheduler.set_timesteps(steps)
    schedule = Schedule(config)
    x = schedule.add_noise(conditioning.clean, torch.full((2,), 999), noise)
    for t in scheduler.timesteps:
        output = _wavy(x, t.repeat(2), conditioning=conditioning, aligned=None, branch="aware")
        x = scheduler.step(output, t, x).prev_sample
    ours = sample_graded(_wavy, conditioning, schedule=schedule, noise=noise, steps=steps, windows=())
    torch.testing.assert_close(ours, x, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("config", [REFERENCE_SCHEDULE, COMPACT_SCHEDULE], ids=["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [4, 7, 20])
def test_a_perfect_denoiser_ends_at_its_mean_inside_and_at_the_input_outside(config: dict, steps: int) -> None:
    conditioning = _guidance(_square())
    schedule = Schedule(config)
    mean = 0.3

    def perfect(x, t, *, conditioning, aligned, branch):
        # the true picture: the anomaly is `mean`; the background is clean, or nothing in the anomaly-only branch
        del aligned
        background = conditioning.clean if branch == "aware" else torch.zeros_like(conditioning.clean)
        truth = conditioning.mask * mean + (1 - conditioning.mask) * background
        noise = (x - schedule.signal(t, x) * truth) / schedule.noise(t, x)
        return schedule.compute_target(truth, t, noise)

    out = sample_graded(perfect, conditioning, schedule=schedule, noise=_noise(conditioning), steps=steps)
    inside = conditioning.mask.bool().expand_as(out)
    torch.testing.assert_close(out[inside], torch.full_like(out[inside], mean), rtol=0, atol=2e-4)
    assert torch.equal(out[~inside], conditioning.clean[~inside])


def test_the_background_stays_on_its_trajectory_at_every_step() -> None:
    conditioning = _guidance(_square())
    schedule = Schedule(COMPACT_SCHEDULE)
    noise = _noise(conditioning)
    outside = (1 - conditioning.mask).bool().expand_as(conditioning.clean)
    worst = []

    def watching(x, t, *, conditioning, aligned, branch):
        truth = conditioning.clean if branch == "aware" else torch.zeros_like(x)
        expected = schedule.add_noise(truth, t, noise)
        worst.append((x - expected)[outside].abs().max().item())
        # a network that knows the background, and paints anything inside
        estimate = torch.where(outside, truth, torch.tanh(x))
        return schedule.compute_target(estimate, t, (x - schedule.signal(t, x) * estimate) / schedule.noise(t, x))

    sample_graded(watching, conditioning, schedule=schedule, noise=noise, steps=20)
    assert len(worst) == 20
    assert max(worst) < 1e-5


def test_time_steps_and_windows_written_out() -> None:
    schedule = Schedule(COMPACT_SCHEDULE)
    windows = ((0.7, 0.8), (0.3, 0.4))
    assert schedule.space_timesteps(4) == [999, 749, 499, 249]
    assert find_window_steps(schedule.space_timesteps(4), windows, steps=1000) == [False, True, False, True]
    assert schedule.space_timesteps(10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]
    assert find_window_steps(schedule.space_timesteps(10), windows, steps=1000) == [
        *[False, False, True, False, False],
        *[False, True, False, False, False],
    ]
    fifty = schedule.space_timesteps(50)
    flags = find_window_steps(fifty, windows, steps=1000)
    assert [t for t, only in zip(fifty, flags, strict=True) if only] == [
        799,
        779,
        759,
        739,
        719,
        399,
        379,
        359,
        339,
        319,
    ]


@pytest.mark.parametrize("steps", range(4, 41))
def test_every_window_has_a_step(steps: int) -> None:
    times = Schedule(COMPACT_SCHEDULE).space_timesteps(steps)
    flags = find_window_steps(times, ((0.7, 0.8), (0.3, 0.4)), steps=1000)
    assert any(flag for t, flag in zip(times, flags, strict=True) if t > 550)
    assert any(flag for t, flag in zip(times, flags, strict=True) if t < 550)
    assert not all(flags)


def test_alignment_goes_from_ones_to_the_mask() -> None:
    mask = _square()
    at = {t: align_mask(mask, torch.full((2,), t), steps=1000) for t in (1000, 600, 200, 0)}
    assert torch.equal(at[1000], torch.ones_like(mask))
    torch.testing.assert_close(at[600], mask + 0.5 * (1 - mask))
    assert torch.equal(at[200], mask)
    assert torch.equal(at[0], mask)


@pytest.mark.parametrize("config", [REFERENCE_SCHEDULE, COMPACT_SCHEDULE], ids=["epsilon", "v_prediction"])
def test_one_time_step_for_all_is_that_time_step_for_each(config: dict) -> None:
    schedule = Schedule(config)
    clean, noise = (torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    for t in (-1, 0, 1, 499, 998):
        each = torch.full((2,), t)
        assert torch.equal(schedule.add_noise(clean, t, noise), schedule.add_noise(clean, each, noise))
        if t >= 0:
            assert torch.equal(schedule.estimate_clean(noise, clean, t), schedule.estimate_clean(noise, clean, each))


def test_both_branches_are_used_where_the_windows_say() -> None:
    conditioning = _guidance(_square())
    schedule = Schedule(COMPACT_SCHEDULE)
    seen = []

    def recording(x, t, *, conditioning, aligned, branch):
        seen.append((int(t[0]), branch))
        if branch == "only":
            assert torch.equal(aligned, conditioning.mask)
        return torch.zeros_like(x)

    sample_graded(recording, conditioning, schedule=schedule, noise=_noise(conditioning), steps=10)
    assert [t for t, branch in seen if branch == "only"] == [799, 399]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**REFERENCE_SCHEDULE, "beta_schedule": "nonsense"}, "nonsense"),
        ({**REFERENCE_SCHEDULE, "prediction_type": "sample"}, "'epsilon' and 'v_prediction'"),
    ],
)
def test_a_bad_schedule_is_refused(config: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Schedule(config)


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 1000"):
        Schedule(REFERENCE_SCHEDULE).space_timesteps(1001)
