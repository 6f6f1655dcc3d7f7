# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The appearance of an anomaly: how it differs, as a whole, from the surface around it.

A small network that starts from noise decides pixel by pixel whether a body becomes light or dark, and paints it
marbled. So the decision is taken out of its hands: it is told the mean change of each colour and the contrast inside
the mask, and paints the rest. While training, appearances are measured on the true anomaly, here; to paint, they are
drawn from those (:mod:`~anomalib_stage.synthesis.appearance.appearance_bank`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "APPEARANCE_COLUMNS",
    "COLOURS",
    "CONTEXT",
    "compute_context",
    "compute_mean_inside",
    "measure_appearance",
    "spread",
]

APPEARANCE_COLUMNS = ("level_r", "level_g", "level_b", "size", "roughness", "shift_r", "shift_g", "shift_b", "contrast")
"""Columns of the tensor ``look.<defect>``: the context, where the anomaly was (the surface's level in [-1, 1], binary
logarithms of the mask's pixels and of the surface's roughness), and its appearance (mean change of each colour,
deviation around it; both in latent units, where the full range of a pixel is 2)."""

CONTEXT = 5
"""How many columns describe the context."""

COLOURS = 3
SMOOTH = 5
"""Side in cells of the window that the surface's roughness is measured against."""

FAINTEST = 0.01
"""Roughness below this does not count."""


def compute_context(filled: Tensor, mask: Tensor) -> Tensor:
    """Describe where an anomaly lies: the surface's level in each colour, the mask's size, and the surface's roughness.

    Args:
        filled (Tensor): Latents whose hole is filled
            (:func:`~anomalib_stage.synthesis.appearance.hole_filling.fill_hole`), ``(B, 3 * cells, h, w)``, all
            cells of a colour side by side.
        mask (Tensor): Anomaly mask, float in {0, 1}, same shape, not empty.

    Returns:
        Tensor: ``(B, 5)`` float32, the first five of :data:`APPEARANCE_COLUMNS`.
    """
    pixels = _count_pixels(mask)
    padded = F.pad(filled, (SMOOTH // 2,) * 4, mode="replicate")
    outside = 1.0 - mask
    fine = ((filled - F.avg_pool2d(padded, SMOOTH, stride=1)) * outside).square().flatten(1).sum(dim=1)
    roughness = (fine / outside.flatten(1).sum(dim=1).clamp_min(1.0)).sqrt().clamp_min(FAINTEST)
    return torch.cat([compute_mean_inside(filled, mask), torch.stack([pixels, roughness], dim=1).log2()], dim=1)


def measure_appearance(latent: Tensor, mask: Tensor, filled: Tensor) -> Tensor:
    """Measure how anomalies differ from the surface that goes on around them.

    Args:
        latent (Tensor): Latents with the anomaly, ``(B, 3 * cells, h, w)``.
        mask (Tensor): Anomaly mask, float in {0, 1}, same shape, not empty.
        filled (Tensor): The latents with the hole filled, same shape.

    Returns:
        Tensor: ``(B, 4)`` float32, the last four of :data:`APPEARANCE_COLUMNS`.
    """
    pixels = _count_pixels(mask)
    change = (latent - filled) * mask
    shift = compute_mean_inside(change, mask)
    deviation = (change - spread(shift, like=latent)) * mask
    contrast = (deviation.square().sum(dim=(1, 2, 3)) / (COLOURS * pixels)).sqrt()
    return torch.cat([shift, contrast.view(-1, 1)], dim=1)


def spread(colour: Tensor, *, like: Tensor) -> Tensor:
    """Lay a colour ``(B, 3)`` over the cells of latents: ``(B, 3 * cells, 1, 1)``."""
    return colour.repeat_interleave(like.shape[1] // COLOURS, dim=1)[..., None, None]


def compute_mean_inside(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of each colour of latents inside a mask, ``(B, 3)``; both ``(B, 3 * cells, h, w)``."""
    inside = (values * mask).reshape(len(values), COLOURS, -1).sum(dim=2)
    return inside / _count_pixels(mask).view(-1, 1)


def _count_pixels(mask: Tensor) -> Tensor:
    """Return the pixels of masks of all cells of three colours, ``(B,)``, at least 1."""
    return mask.flatten(1).sum(dim=1).div(COLOURS).clamp_min(1.0)
