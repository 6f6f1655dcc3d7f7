# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The graded sampler: STAGE's three ideas with few deterministic steps and one background noise for each sample.

Notation (docs/concepts/published-method.md has the published loop in the same symbols):

============  ===========================  =========================================================================
paper         here                         meaning
============  ===========================  =========================================================================
z             ``clean``                    clean latent, the background's prior
B             ``mask``                     anomaly mask, 1 inside
n             ``noise``                    standard normal noise of the sample, the only randomness
q(x, t; n)    ``schedule.add_noise``       sqrt(abar_t) x + sqrt(1 - abar_t) n
c(t)          ``aligned``                  aligned mask: all ones at t = T, linearly down to B (EMA)
x_t           ``x``                        image state
x0            ``x0``                       clean estimate
f             ``constrain``                what this package asks of x0 (:mod:`.constraint`)
aware, only   ``branch``                   anomaly-aware and anomaly-only branch (GD)
============  ===========================  =========================================================================
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from anomalib_stage.synthesis.diffusion.alignment import compute_open_shares, find_window_steps
from anomalib_stage.synthesis.diffusion.constraint import unconstrained
from anomalib_stage.synthesis.diffusion.denoising import blend
from anomalib_stage.synthesis.diffusion.schedule import CLEAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.constraint import Constrain
    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning, Denoiser
    from anomalib_stage.synthesis.diffusion.schedule import Schedule

__all__ = ["sample_graded"]


def sample_graded(
    denoiser: Denoiser,
    conditioning: Conditioning,
    *,
    schedule: Schedule,
    noise: Tensor,
    steps: int = 20,
    windows: Sequence[tuple[float, float]] = ((0.7, 0.8), (0.3, 0.4)),
    constrain: Constrain = unconstrained,
) -> Tensor:
    r"""Paint anomalies with few deterministic steps (DDIM, eta 0).

    For each step from t to s < t, with 0 for the background of the anomaly-only branch:

    .. math::
        x_T &= q(z, T; n)                                                           & (1) \\
        x'_t &= x_t \text{ (aware)}, \quad B x_t + (1 - B)\, q(0, t; n) \text{ (only)} & (2) \\
        c &= B + a(t)(1 - B) \text{ (aware)}, \quad B \text{ (only)}                 & (3) \\
        x_0 &= c\, f(\hat{x}_0(x'_t, t)) + (1 - c)\, z                               & (4) \\
        \epsilon &= (x'_t - \sqrt{\bar\alpha_t}\, x_0) / \sqrt{1 - \bar\alpha_t}     & (5) \\
        y &= q(x_0, s; \epsilon)                                                    & (6) \\
        x_s &= c\, y + (1 - c)\, q(z, s; n)                                         & (7)

    (4) is the paper's AIF. The background runs on its exact trajectory ``q(z, t; n)``: (7) never mixes two noises,
    which in the published loop makes the background's noise up to three times too weak (published-method.md, 6.3).

    Args:
        denoiser (Denoiser): The network.
        conditioning (Conditioning): Clean latents, masks and conditions.
        schedule (Schedule): Noise schedule of the network.
        noise (Tensor): Standard normal, ``(B, C, h, w)``; the only randomness.
        steps (int): Number of denoising steps, 4 to T.
        windows (Sequence[tuple[float, float]]): Windows of the anomaly-only branch as fractions of T; each gets a step.
        constrain (Constrain): f, what is asked of clean estimates.

    Returns:
        Tensor: Painted latents ``(B, C, h, w)``; outside the mask exactly ``conditioning.clean``.
    """
    clean, mask = conditioning.clean, conditioning.mask
    times = schedule.space_timesteps(steps)
    only = find_window_steps(times, windows, steps=schedule.steps)
    shares = compute_open_shares(tuple(times), steps=schedule.steps, dtype=mask.dtype)
    outside, nothing = 1.0 - mask, torch.zeros_like(clean)
    x = schedule.add_noise(clean, times[0], noise)  # (1)
    for i, (now, after) in enumerate(pairwise([*times, CLEAN])):
        branch: Branch = "only" if only[i] else "aware"
        state = mask * x + outside * schedule.add_noise(nothing, now, noise) if only[i] else x  # (2)
        aligned = mask if only[i] else mask + shares[i] * outside  # (3)
        rest, background = 1.0 - aligned, nothing if only[i] else clean
        t = torch.full((len(clean),), now, dtype=torch.int64, device=clean.device)
        output = denoiser(state, t, conditioning=conditioning, aligned=aligned, branch=branch)
        x0 = aligned * constrain(schedule.estimate_clean(output, state, now)) + rest * background  # (4)
        eps = (state - schedule.signal(now, state) * x0) / schedule.noise(now, state)  # (5)
        y = schedule.add_noise(x0, after, eps)  # (6)
        x = aligned * y + rest * schedule.add_noise(clean, after, noise)  # (7)
    return blend(mask, x, clean)
