# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a noise schedule for each time step, and how samples look them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import DDPMScheduler
    from torch import Tensor

__all__ = ["compute_betas", "compute_posterior", "gather_steps"]


def compute_betas(tables: DDPMScheduler) -> Tensor:
    """Return betas in float64, as published: the float32 roundings of diffusers add up to 1e-4 over 1000 steps."""
    config = tables.config
    if config.beta_schedule == "scaled_linear" and config.trained_betas is None and not config.rescale_betas_zero_snr:
        ends = config.beta_start**0.5, config.beta_end**0.5
        return torch.linspace(*ends, int(config.num_train_timesteps), dtype=torch.float64) ** 2
    betas: Tensor = tables.betas.double()
    return betas


def compute_posterior(betas: Tensor, ab: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the coefficients of x0 and x_t in the mean of q(x_{t-1} | x_t, x_0), and its standard deviation."""
    before = torch.cat([ab.new_ones(1), ab[:-1]])
    from_x0 = betas * before.sqrt() / (1 - ab)
    from_x = (1 - before) * (1 - betas).sqrt() / (1 - ab)
    deviation = (betas * (1 - before) / (1 - ab)).sqrt()
    return from_x0.float(), from_x.float(), deviation.float()


def gather_steps(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """Look up ``values`` at the steps ``t`` and shape them to broadcast over ``like``."""
    return values.to(like.device)[t].to(like.dtype).view(-1, *([1] * (like.dim() - 1)))
