# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rates: they rise, fall to zero, and those of the latent backbone are diffusers' own."""

from __future__ import annotations

import pytest
import torch
from diffusers.optimization import get_scheduler

from anomalib_stage.training.network.learning_rate import (
    compute_capped_rate,
    compute_decay,
    compute_fit_rate,
    compute_latent_rate,
    compute_segmenter_rate,
)


def test_the_decay_is_half_a_cosine() -> None:
    assert (compute_decay(0.0), compute_decay(0.5), compute_decay(1.0)) == pytest.approx((1.0, 0.5, 0.0))
    assert compute_decay(13, 24) == pytest.approx(compute_decay(13 / 24))


def test_a_training_without_an_end_keeps_its_rate() -> None:
    assert compute_fit_rate(5000, 0.0) == 1.0
    assert compute_latent_rate(5000, rise=50, last=None) == 1.0
    assert compute_segmenter_rate(5000, rise=50, last=None) == 1.0


@pytest.mark.parametrize("rate", [compute_segmenter_rate, compute_capped_rate])
def test_a_rate_rises_to_its_peak_and_falls_to_zero(rate) -> None:
    rates = [rate(step, rise=10, last=100) for step in range(101)]
    assert 0.0 < rates[0] < rates[5] < rates[9] <= 1.0
    assert max(rates) == pytest.approx(1.0)
    assert rates[11:] == sorted(rates[11:], reverse=True)
    assert rates[-1] == pytest.approx(0.0)


@pytest.mark.parametrize(("steps", "rise"), [(7, 0), (60, 6), (2000, 50), (None, 50)])
def test_the_latent_rate_is_that_of_diffusers(steps: int | None, rise: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    name = "cosine" if steps else "constant_with_warmup"
    known = get_scheduler(name, optimizer, num_warmup_steps=rise, num_training_steps=steps).lr_lambdas[0]
    for step in range(steps or 200):
        assert compute_latent_rate(step, rise=rise, last=steps) == known(step)
