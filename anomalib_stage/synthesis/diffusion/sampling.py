# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The two samplers of graded diffusion.

Symbols (design and reference documents -> here): z -> ``guidance.clean``, B -> ``guidance.mask``, c -> ``aligned``,
x_t -> ``x``, ``q(z, t; n)`` -> :meth:`Schedule.noised`. AIF: ``x0' = c x0 + (1 - c) z``. X is the image state, M the
anomaly-only state.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol

import torch

from anomalib_stage.synthesis.appearance.appearance import contrast_limits, limit_contrast
from anomalib_stage.synthesis.diffusion.schedule import (
    CLEAN,
    Schedule,
    alignment,
    open_shares,
    per_sample,
    window_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["Branch", "Conditioning", "Denoiser", "blend", "reverse_step", "sample_graded", "sample_reference"]

Branch = Literal["aware", "only"]
"""``aware``: sees the surface around the anomaly. ``only``: the anomaly alone, the background carries no signal."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a denoiser is told besides the noisy latent.

    Args:
        clean (Tensor): Clean latent z, ``(B, C, h, w)``.
        mask (Tensor): Anomaly mask B, float in {0, 1}, ``(B, C, h, w)`` or ``(B, 1, h, w)``.
        condition (Tensor): One condition vector for each sample, ``(B, D)``.
        surround (Tensor | None): The clean latent with the anomaly's place filled from around it
            (:func:`~anomalib_stage.synthesis.appearance.hole_filling.fill_hole`) and changed by the anomaly's tone,
            for denoisers that look at it.
        contrast (Tensor | None): Wanted contrast inside each anomaly, ``(B,)``
            (:mod:`~anomalib_stage.synthesis.appearance.appearance`), for denoisers that look at it.
        stained (Tensor | None): The clean latent in the anomaly's tone,
            :func:`~anomalib_stage.synthesis.appearance.hole_filling.stained`; the graded sampler mixes it into its
            estimates.
        kept (Tensor | None): The share of ``stained`` in them, ``(B,)`` in [0, 1].
        settled (bool): Whether every share is 1, so that the network's estimates do not matter.
    """

    clean: Tensor
    mask: Tensor
    condition: Tensor
    surround: Tensor | None = None
    contrast: Tensor | None = None
    stained: Tensor | None = None
    kept: Tensor | None = None
    settled: bool = False


class Denoiser(Protocol):
    """A network with its conditioning: any backbone looks like this to the samplers."""

    def __call__(self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Return the prediction (epsilon or v, as the schedule says) at ``x = x_t``, ``t`` int64 ``(B,)``."""
        ...


def blend(mask: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """``mask * inside + (1 - mask) * outside``: AIF and write-back are both this."""
    return mask * inside + (1.0 - mask) * outside


def sample_graded(
    denoiser: Denoiser,
    conditioning: Conditioning,
    *,
    schedule: Schedule,
    noise: Tensor,
    steps: int = 20,
    windows: Sequence[tuple[float, float]] = ((0.7, 0.8), (0.3, 0.4)),
    clip: float = 1.05,
    strength: Tensor | None = None,
) -> Tensor:
    """Paint anomalies with few deterministic steps (DDIM, eta 0) and one background noise for each sample.

    The background runs on its exact trajectory ``q(z, t; noise)``: the AIF blend never mixes two noises, which in the
    published loop makes the background's noise up to three times too weak (reference section 6.3).

    Args:
        denoiser (Denoiser): The network.
        conditioning (Guidance): Clean latents, masks and conditions.
        schedule (Schedule): Noise schedule of the network.
        noise (Tensor): Standard normal, ``(B, C, h, w)``; the only randomness.
        steps (int): Number of denoising steps, 4 to T.
        windows (Sequence[tuple[float, float]]): Windows of the anomaly-only branch as fractions of T; each gets a step.
        clip (float): Clean estimates are clamped to plus or minus this value; 0: not at all.
        strength (Tensor | None): ``(B,)`` in (0, 1]. Every clean estimate goes this share of the way from the clean
            latent to what the network estimates, so that the network itself paints a weaker anomaly; None: all the way.

    Returns:
        Tensor: Painted latents ``(B, C, h, w)``; outside the mask exactly ``guidance.clean``.
    """
    clean, mask = conditioning.clean, conditioning.mask
    weight = None if strength is None else strength.view(-1, 1, 1, 1)
    if (
        conditioning.settled and conditioning.stained is not None
    ):  # every estimate is the goal, and the last one is the result
        goal = conditioning.stained.clamp(-clip, clip) if clip else conditioning.stained
        return blend(mask, goal if weight is None else torch.lerp(clean, goal, weight), clean)
    times = schedule.timesteps(steps)
    only = window_steps(times, windows, steps=schedule.steps)
    shares = open_shares(tuple(times), steps=schedule.steps, dtype=mask.dtype)
    x = schedule.noised(clean, times[0], noise)
    outside, nothing = 1.0 - mask, torch.zeros_like(clean)
    allowed = None
    if conditioning.surround is not None and conditioning.contrast is not None:
        allowed = contrast_limits(mask, conditioning.surround, conditioning.contrast)
    for i, (now, after) in enumerate(pairwise([*times, CLEAN])):
        # the branch of this step: its state, its mask c (and 1 - c) and its background
        branch: Branch = "only" if only[i] else "aware"
        aligned = mask if only[i] else mask + shares[i] * outside
        rest = 1.0 - aligned
        background = nothing if only[i] else clean
        state = mask * x + outside * schedule.noised(nothing, now, noise) if only[i] else x
        # AIF in x0 space, then the deterministic step
        output = denoiser(state, _times(now, clean), conditioning=conditioning, aligned=aligned, branch=branch)
        x0 = schedule.clean_estimate(output, state, now)
        if conditioning.surround is not None and allowed is not None:
            x0 = limit_contrast(x0, mask, conditioning.surround, allowed)
        if conditioning.stained is not None and conditioning.kept is not None:
            x0 = torch.lerp(x0, conditioning.stained, conditioning.kept.view(-1, 1, 1, 1) * mask)
        x0 = x0.clamp(-clip, clip) if clip else x0
        x0 = aligned * (x0 if weight is None else torch.lerp(clean, x0, weight)) + rest * background
        eps = (state - schedule.signal(now, state) * x0) / schedule.noise(now, state)
        y = schedule.noised(x0, after, eps)
        # write-back: the background returns to its own trajectory
        x = aligned * y + rest * schedule.noised(clean, after, noise)
    return blend(mask, x, clean)


def _times(t: int, like: Tensor) -> Tensor:
    return torch.full((len(like),), t, dtype=torch.int64, device=like.device)


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
    """Run the published loop, number for number (reference section 6): every training step, ancestral sampling.

    Args:
        denoiser (Denoiser): The network with its adapters.
        conditioning (Guidance): Clean latents z, masks B ``(B, 1, h, w)`` and conditions.
        schedule (Schedule): Noise schedule.
        start (Tensor): x_T, standard normal ``(B, C, h, w)``.
        normal (Callable[[tuple[int, ...]], Tensor]): Source of standard normal noise for a shape. Each step draws the
            background's (C channels), the anomaly-only state's (1 channel) and the step's (C channels), in this order.
        windows (Sequence[tuple[float, float]]): Windows of the anomaly-only branch as fractions of T, bounds included.
        observe (Callable[[int, Tensor, Tensor], None] | None): Called after each step with the step, the state that the
            reverse step was given, and the image state after it.

    Returns:
        Tensor: Image state after step 0. Not composited: the background keeps noise of standard deviation
        ``sqrt(1 - ab_0)``, as published.
    """
    clean, mask = conditioning.clean, conditioning.mask
    single = (len(clean), 1, *clean.shape[2:])
    image_state = only_state = start
    aligned = torch.ones_like(mask)
    for i in reversed(range(schedule.steps)):
        t, before = _times(i, clean), _times(max(i - 1, 0), clean)
        only = any(low * schedule.steps <= i <= high * schedule.steps for low, high in windows)
        branch: Branch = "only" if only else "aware"
        state, used, prior = (only_state, mask, mask) if only else (image_state, aligned, clean)
        noised_clean = schedule.noised(clean, before, normal(tuple(clean.shape)))
        noised_mask = schedule.noised(mask.expand_as(clean), before, normal(single))
        output = denoiser(state, t, conditioning=conditioning, aligned=used, branch=branch)
        _, mean, deviation = reverse_step(output, state, t, aligned=used, background=prior, schedule=schedule)
        y = mean + deviation * normal(tuple(clean.shape))
        image_state = blend(used, y, noised_clean)
        only_state = blend(mask, y, noised_mask)
        aligned = alignment(mask, t, steps=schedule.steps)  # one step behind, as published
        if observe is not None:
            observe(i, state, image_state)
    return image_state


def reverse_step(
    output: Tensor, x: Tensor, t: Tensor, *, aligned: Tensor, background: Tensor, schedule: Schedule
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the published reverse step's AIF blend, mean and standard deviation (reference section 6.1).

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
    x0 = blend(aligned, schedule.clean_estimate(output, x, t), background)
    from_x0, from_x, deviation = (per_sample(table, t, x) for table in schedule.posterior)
    return x0, from_x0 * x0 + from_x * x, deviation
