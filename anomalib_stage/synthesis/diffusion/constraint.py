# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What this package asks of every clean estimate besides the method: one function from x0 to x0."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anomalib_stage.synthesis.appearance.contrast import compute_contrast_limits, limit_contrast

if TYPE_CHECKING:
    from anomalib_stage.synthesis.diffusion.denoising import Conditioning

__all__ = ["Constrain", "build_constraint", "unconstrained"]

Constrain = Callable[[Tensor], Tensor]
"""Takes clean estimates ``(B, C, h, w)`` and returns those that are allowed, same shape."""


def unconstrained(x0: Tensor) -> Tensor:
    """Return the estimate as it is."""
    return x0


def build_constraint(
    conditioning: Conditioning,
    *,
    texture: Tensor | None = None,
    texture_weight: Tensor | None = None,
    clip: float = 0.0,
    strength: Tensor | None = None,
) -> Constrain:
    """Build what is asked of the clean estimates of a batch.

    In this order: colour and contrast are those that the conditioning wants, if it says so; a share of the estimate is
    the texture that the anomaly goes on with; values are clipped; and the estimate goes part of the way from the clean
    latent only, so that the network itself paints a weaker anomaly.

    Args:
        conditioning (Conditioning): Of the batch.
        texture (Tensor | None): Latents that the anomalies go on with, ``(B, C, h, w)``: the surface's own texture in
            the anomaly's colour, or the detail of a real defect; None: everything is the network's.
        texture_weight (Tensor | None): Share of ``texture``, ``(B,)`` in [0, 1]; None where there is none.
        clip (float): Estimates are clamped to plus or minus this value; 0: not at all.
        strength (Tensor | None): Share of the way from the clean latent, ``(B,)`` in (0, 1]; None: all the way.

    Returns:
        Constrain: The function.
    """
    clean, mask, filled = conditioning.clean, conditioning.mask, conditioning.filled
    limits = None
    if filled is not None and conditioning.contrast is not None:
        limits = compute_contrast_limits(mask, filled, conditioning.contrast)
    weight = None if strength is None else strength.view(-1, 1, 1, 1)
    share = None if texture_weight is None else texture_weight.view(-1, 1, 1, 1) * mask

    def constrain(x0: Tensor) -> Tensor:
        if filled is not None and limits is not None:
            x0 = limit_contrast(x0, mask, filled, limits)
        if texture is not None and share is not None:
            x0 = torch.lerp(x0, texture, share)
        x0 = x0.clamp(-clip, clip) if clip else x0
        return x0 if weight is None else torch.lerp(clean, x0, weight)

    return constrain
