# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of graded diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.synthesis.diffusion.alignment import align_mask
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
    from anomalib_stage.synthesis.diffusion.denoising import Denoiser

__all__ = ["compute_graded_loss", "compute_reference_loss"]

AWARE_WEIGHT = 4.0
"""Weight of the anomaly-aware branch in the published loss."""

MIN_AREA = 0.02
"""Mask share below which a sample's mask loss is no longer scaled up: a few pixels would outweigh the batch."""


def compute_reference_loss(
    denoiser: Denoiser, conditioning: Conditioning, *, schedule: Schedule, t: Tensor, noise: Tensor, noise_only: Tensor
) -> Tensor:
    """Return the published loss: ``4 mean|c (e1 - n1)| + mean|e2 - n2|`` (published-method.md, (7)).

    Args:
        denoiser (Denoiser): Network with its adapters, predicting epsilon.
        conditioning (Conditioning): ``clean`` holds z_a, the latent of a real anomalous image; ``mask`` is B.
        schedule (Schedule): Noise schedule.
        t (Tensor): Time steps, ``(B,)`` int64.
        noise (Tensor): n1 of the anomaly-aware branch, shape of the latent.
        noise_only (Tensor): n2 of the anomaly-only branch, shape of the latent.

    Returns:
        Tensor: Scalar.
    """
    anomalous, mask = conditioning.clean, conditioning.mask
    aligned = align_mask(mask, t, steps=schedule.steps)
    aware = denoiser(
        schedule.add_noise(anomalous, t, noise), t, conditioning=conditioning, aligned=aligned, branch="aware"
    )
    only_state = schedule.add_noise(anomalous * mask, t, noise_only)
    only = denoiser(only_state, t, conditioning=conditioning, aligned=mask, branch="only")
    return AWARE_WEIGHT * (aligned * (aware - noise)).abs().mean() + (only - noise_only).abs().mean()


def compute_graded_loss(
    denoiser: CompactDenoiser | Callable[..., Tensor],
    conditioning: Conditioning,
    *,
    schedule: Schedule,
    t: Tensor,
    noise: Tensor,
    aware: Tensor,
) -> Tensor:
    """Return the default loss: squared error, one branch for each sample, normalised by mask area.

    The anomaly-aware branch is masked by the align_mask mask c(t), as published; inside the anomaly mask B the error is
    further divided by the mask's share of the region, so that a one-cell defect teaches as much as a large one. The
    anomaly-only branch is not masked, as published.

    Args:
        denoiser (CompactDenoiser | Callable[..., Tensor]): Network that takes a branch flag for each sample.
        conditioning (Conditioning): ``clean`` holds z_a, the latent of the anomalous region; ``mask`` is B, same shape.
        schedule (Schedule): Noise schedule.
        t (Tensor): Time steps, ``(B,)`` int64.
        noise (Tensor): Standard normal, shape of the latent.
        aware (Tensor): Branch of each sample, ``(B,)`` float: 1 anomaly-aware, 0 anomaly-only.

    Returns:
        Tensor: Loss of each sample, ``(B,)``.
    """
    flag = aware.view(-1, 1, 1, 1)
    mask = conditioning.mask
    aligned = torch.where(flag > 0, align_mask(mask, t, steps=schedule.steps), mask)
    target = conditioning.clean * torch.where(flag > 0, torch.ones_like(mask), mask)
    state = schedule.add_noise(target, t, noise)
    output = denoiser(state, t, conditioning=conditioning, aligned=aligned, branch=aware)
    error = (output - schedule.compute_target(target, t, noise)).square()
    dims = (1, 2, 3)
    inside = (error * mask).mean(dims) / mask.mean(dims).clamp_min(MIN_AREA)
    visible = torch.where(flag > 0, aligned, torch.ones_like(aligned))
    around = (error * visible).mean(dims) / visible.mean(dims).clamp_min(MIN_AREA)
    return inside + 0.5 * around
