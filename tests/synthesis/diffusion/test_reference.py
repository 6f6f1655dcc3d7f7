# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Replay of the published method, number for number (tests/golden)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from anomalib_stage.synthesis.diffusion.adapted_denoiser import AdaptedDenoiser
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter
from anomalib_stage.synthesis.diffusion.alignment import align_mask
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.published_sampling import reverse_step, sample_reference
from anomalib_stage.synthesis.diffusion.schedule import REFERENCE_SCHEDULE, Schedule
from anomalib_stage.training.network.loss import compute_reference_loss
from tests.golden.stream import Stream

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return Schedule(REFERENCE_SCHEDULE)


@pytest.fixture(scope="module")
def units() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "units.safetensors")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "weights.safetensors")


class BranchAdapter(torch.nn.Module):
    """The golden stand-in of an adapter."""

    def __init__(self, weights: dict[str, torch.Tensor], branch: str) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weights[f"{branch}.conv.weight"].clone())
        self.bias = torch.nn.Parameter(weights[f"{branch}.conv.bias"].clone())

    def forward(self, eps: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return eps + F.conv2d(torch.cat([eps, mask.expand(-1, 4, -1, -1)], dim=1), self.weight, self.bias, padding=1)


def golden_denoiser(weights: dict[str, torch.Tensor]) -> AdaptedDenoiser:
    def network(x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        del condition
        s = t.float() / 1000
        features = torch.stack([torch.sin(2 * np.pi * s), torch.cos(2 * np.pi * s), s, torch.ones_like(s)], dim=1)
        hidden = F.conv2d(x, weights["eps.c1.weight"], weights["eps.c1.bias"], padding=1)
        hidden = torch.tanh(hidden + (features @ weights["eps.wt"])[:, :, None, None])
        return weights["eps.skip"] * x + F.conv2d(hidden, weights["eps.c2.weight"], weights["eps.c2.bias"], padding=1)

    return AdaptedDenoiser(network, aware=BranchAdapter(weights, "aware"), only=BranchAdapter(weights, "only"))


def _assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCE)


def test_schedule_tables(schedule: Schedule, units: dict[str, torch.Tensor]) -> None:
    _assert_close(schedule.betas, units["betas"])
    _assert_close(schedule.alphas_cumprod, units["alphas_cumprod"])
    from_x0, from_x, deviation = schedule.posterior
    _assert_close(from_x0, units["posterior_mean_coef1"])
    _assert_close(from_x, units["posterior_mean_coef2"])
    _assert_close(deviation.square(), units["posterior_variance"])


def test_alignment_mask(units: dict[str, torch.Tensor]) -> None:
    steps = units["alignment.step"].long().flatten()
    mask = units["alignment.mask"].float()
    for i, step in enumerate(steps):
        actual = align_mask(mask, step.repeat(len(mask)), steps=1000)
        _assert_close(actual.reshape(units["alignment.out"][i].shape), units["alignment.out"][i])


def test_mask_guidance_adapter(units: dict[str, torch.Tensor]) -> None:
    stream = Stream(51)
    state = {}
    for name, shape, scaling in json.loads((GOLDEN / "mga_manifest.json").read_text()):
        n = stream(tuple(shape))
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        rules = {
            "n*sqrt(2/fan_in)": lambda n=n, f=fan_in: n * (2.0 / f) ** 0.5,
            "0.05n": lambda n=n: 0.05 * n,
            "1+0.1n": lambda n=n: 1 + 0.1 * n,
            "0.1n": lambda n=n: 0.1 * n,
            "1+0.2|n|": lambda n=n: 1 + 0.2 * n.abs(),
        }
        state[name] = rules[scaling]()
    adapter = MaskGuidanceAdapter().eval()
    missing, unexpected = adapter.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    eps = stream(tuple(units["mga.eps"].shape))
    _assert_close(eps, units["mga.eps"])
    with torch.no_grad():
        _assert_close(adapter(eps, units["mga.mask"].float()), units["mga.out"])


@pytest.mark.parametrize("case", range(5))
@pytest.mark.parametrize("branch", ["aware", "only"])
def test_reverse_step(
    case: int,
    branch: str,
    schedule: Schedule,
    units: dict[str, torch.Tensor],
    weights: dict[str, torch.Tensor],
) -> None:
    part = {name: units[f"aif.{case}.{branch}.{name}"] for name in ("t", "x", "mask", "clean", "x0", "mean")}
    t, mask = part["t"].long(), part["mask"].float()
    conditioning = Conditioning(part["clean"].expand_as(part["x"]), mask, torch.zeros(len(t), 1))
    output = golden_denoiser(weights)(part["x"], t, conditioning=conditioning, aligned=mask, branch=branch)
    x0, mean, _ = reverse_step(output.detach(), part["x"], t, aligned=mask, background=part["clean"], schedule=schedule)
    _assert_close(x0, part["x0"])
    _assert_close(mean, part["mean"])


@torch.no_grad()
def test_whole_trajectory(schedule: Schedule, weights: dict[str, torch.Tensor]) -> None:
    golden = load_file(GOLDEN / "trajectory.safetensors")
    stream = Stream(24)
    start = stream((3, 4, 8, 8))
    seen: dict[str, torch.Tensor] = {}

    def observe(step: int, state: torch.Tensor, image_state: torch.Tensor) -> None:
        seen[f"in.{step}"], seen[f"x.{step}"] = state, image_state

    conditioning = Conditioning(golden["clean"], golden["mask"].float(), torch.zeros(3, 1))
    final = sample_reference(
        golden_denoiser(weights), conditioning, schedule=schedule, start=start, normal=stream, observe=observe
    )
    _assert_close(final, golden["final"])
    compared = [name for name in golden if name in seen]
    assert len(compared) == len(golden) - 3  # all but clean, mask, final
    for name in compared:
        _assert_close(seen[name], golden[name])


def test_loss_and_gradients(schedule: Schedule, weights: dict[str, torch.Tensor]) -> None:
    golden = load_file(GOLDEN / "losses.safetensors")
    denoiser = golden_denoiser(weights)
    conditioning = Conditioning(golden["x0"], golden["mask"].float(), torch.zeros(4, 1))
    loss = compute_reference_loss(
        denoiser,
        conditioning,
        schedule=schedule,
        t=golden["t"].long(),
        noise=golden["noise"],
        noise_only=golden["noise_only"],
    )
    loss.backward()
    _assert_close(loss.detach().view(1), golden["loss"])
    for branch, adapter in (("aware", denoiser.aware), ("only", denoiser.only)):
        _assert_close(adapter.weight.grad, golden[f"grad.{branch}.conv.weight"])
        _assert_close(adapter.bias.grad, golden[f"grad.{branch}.conv.bias"])
