# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Matching the colours of a decoded region to the picture that it is put back into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["match_colour"]

RING = 16
"""Width in pixels of the ring around the painted cells on which colours are compared."""

DOUBT = 8.0 / 255.0
"""Deviation of the ring's colour at which its contrast and the belief in a gain of 1 count alike."""

GAIN = (0.5, 2.0)
"""Bounds of the gain; beyond them the autoencoder has not shown the surface at all."""


def match_colour(decoded: Tensor, clean: Tensor, *, free: Tensor) -> Tensor:
    """Take the autoencoder's error of colour out of a decoded region, in closed form for each channel.

    An autoencoder shifts brightness and contrast a little, which would show as a seam around the mask. On the ring
    where both show the same clean surface, the line ``a d + b`` from decoded values ``d`` to clean values ``x`` is

    ``a = (cov(d, x) + DOUBT^2) / (var(d) + DOUBT^2)``, ``b = mean(x) - a mean(d)``,

    the least-squares line with a prior on ``a = 1``, which decides where the ring is even; ``a`` stays within [0.5, 2].
    The line is applied to the whole region.

    Args:
        decoded (Tensor): Decoded regions ``(B, 3, H, W)``, float in [0, 1].
        clean (Tensor): Clean regions, same shape.
        free (Tensor): Where the network was free to paint, ``(B, 1, H, W)`` bool: every pixel of a latent cell that
            holds a pixel of the mask.

    Returns:
        Tensor: ``(B, 3, H, W)``, clamped to [0, 1]. A sample whose ring is empty is not changed.
    """
    inside = free.to(decoded.dtype)
    wide = F.max_pool2d(inside, (2 * RING + 1, 1), stride=1, padding=(RING, 0))
    ring = F.max_pool2d(wide, (1, 2 * RING + 1), stride=1, padding=(0, RING)) * (1.0 - inside)
    pixels = ring.sum(dim=(2, 3), keepdim=True)
    share = ring / pixels.clamp_min(1.0)
    mean_d, mean_x = ((v * share).sum(dim=(2, 3), keepdim=True) for v in (decoded, clean))
    off_d, off_x = decoded - mean_d, clean - mean_x
    variance = (off_d.square() * share).sum(dim=(2, 3), keepdim=True)
    covariance = (off_d * off_x * share).sum(dim=(2, 3), keepdim=True)
    gain = ((covariance + DOUBT**2) / (variance + DOUBT**2)).clamp(*GAIN)
    return torch.where(pixels > 0, gain * off_d + mean_x, decoded).clamp(0.0, 1.0)
