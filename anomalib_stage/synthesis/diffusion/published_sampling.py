# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The published sampler, number for number (docs/concepts/published-method.md, section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.synthesis.diffusion.alignment import align_mask
from anomalib_stage.synthesis.diffusion.denoising import blend
from anomalib_stage.synthesis.diffusion.schedule_tables import gather_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning, Denoiser
    from anomalib_stage.synthesis.diffusion.schedule import Schedule

__all__ = ["reverse_step", "sample_reference"]


def sample_reference(
    denoiser: Denoiser,
    conditioning: Conditioning,
    *,
    schedule: Schedule,
    start: Tensor,
    normal: Callable[[tuple[int, ...]], Tensor],
    windows: Sequence[tuple[float, float]] = ((0.7, 0.8), (0.3, 0.4)),
    observe: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Run the published loop (published-method.md, section 6.2): every training step, ancestral sampling.

    Args:
        denoiser (Denoiser): The network with its adapters.
        conditioning (Conditioning): Clean latents z, masks B ``(B, 1, h, w)`` and conditions.
        schedule (Schedule): Noise schedule.
        start (Tensor): x_T, standard normal ``(B, C, h, w)``.
        normal (Callable[[tuple[int, ...]], Tensor]): Source of standard normal noise for a shape. Each step draws the
            background's (C channels), the anomaly-only state's (1 channel) and the step's (C channels), in this order.
        windows (Sequence[tuple[float, float]]): Windows of the anomaly-only branch as fractions of T, bounds included.
        observe (Callable[[int, Tensor, Tensor], None] | None): Called after each step with the step, the state that the
            reverse step was given, and the image state after it.

    Returns:
        Tensor: Image state after step 0. Not composited: the background keeps noise of standard deviation
        ``sqrt(1 - abar_0)``, as published.
    """
    clean, mask = conditioning.clean, conditioning.mask
    single = (len(clean), 1, *clean.shape[2:])
    image_state = only_state = start
    aligned = torch.ones_like(mask)
    for i in reversed(range(schedule.steps)):
        t, before = _expand_step(i, clean), _expand_step(max(i - 1, 0), clean)
        only = any(low * schedule.steps <= i <= high * schedule.steps for low, high in windows)
        branch: Branch = "only" if only else "aware"
        state, used, prior = (only_state, mask, mask) if only else (image_state, aligned, clean)
        noised_clean = schedule.add_noise(clean, before, normal(tuple(clean.shape)))
        noised_mask = schedule.add_noise(mask.expand_as(clean), before, normal(single))
        output = denoiser(state, t, conditioning=conditioning, aligned=used, branch=branch)
        _, mean, deviation = reverse_step(output, state, t, aligned=used, background=prior, schedule=schedule)
        y = mean + deviation * normal(tuple(clean.shape))
        image_state = blend(used, y, noised_clean)
        only_state = blend(mask, y, noised_mask)
        aligned = align_mask(mask, t, steps=schedule.steps)  # one step behind, as published
        if observe is not None:
            observe(i, state, image_state)
    return image_state


def reverse_step(
    output: Tensor, x: Tensor, t: Tensor, *, aligned: Tensor, background: Tensor, schedule: Schedule
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the published reverse step's AIF blend, mean and standard deviation (published-method.md, section 6.1).

    Args:
        output (Tensor): Prediction of the network at ``x``, ``(B, C, h, w)``.
        x (Tensor): State at time ``t``, ``(B, C, h, w)``.
        t (Tensor): Time steps, ``(B,)`` int64.
        aligned (Tensor): Mask m of the blend.
        background (Tensor): Prior k outside the mask: z, or in the anomaly-only branch the mask itself, as published.
        schedule (Schedule): Noise schedule.

    Returns:
        tuple[Tensor, Tensor, Tensor]: ``x0' = m x0 + (1 - m) k``, posterior mean, posterior deviation (0 at t = 0).
    """
    x0 = blend(aligned, schedule.estimate_clean(output, x, t), background)
    from_x0, from_x, deviation = (gather_steps(table, t, x) for table in schedule.posterior)
    return x0, from_x0 * x0 + from_x * x, deviation


def _expand_step(t: int, like: Tensor) -> Tensor:
    return torch.full((len(like),), t, dtype=torch.int64, device=like.device)
