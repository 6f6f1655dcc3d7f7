# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise with the spectrum of pictures, and the colour of the surface around a hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from anomalib_stage.seeds import standard_normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.settings import NoiseSettings

__all__ = ["region_noise", "surround_fill"]

COLOURS = 3


def region_noise(shape: Sequence[int], streams: Sequence[torch.Generator], *, settings: NoiseSettings) -> Tensor:
    """Draw unit-variance Gaussian noise for latents, white or with extra power at low frequencies.

    White noise hides the fine grain of a picture long before its large shapes: at high noise levels a network can read
    the mean colour of a body from the noisy latent, and learns to copy it instead of deciding it. Octaves of coarser
    noise, with power that falls as in pictures, hide all scales at about the same time (cf. offset noise and pyramid
    noise in diffusers' training scripts). The sampler is indifferent: DDIM is valid for any fixed noise distribution.

    Args:
        shape (Sequence[int]): Shape of one latent ``(C, h, w)``; with octaves, C is a multiple of 3 and channels lie as
            :class:`~anomalib_stage.synthesis.codec.PixelCodec` lays them: all cells of a colour side by side.
        streams (Sequence[torch.Generator]): One CPU generator for each sample.
        settings (NoiseSettings): Octaves and their weight.

    Returns:
        Tensor: ``(B, C, h, w)`` float32 on the CPU, mean 0, variance about 1 (a little more at borders).
    """
    noise = standard_normal(shape, streams)
    if not settings.octaves:
        return noise
    channels, height, width = shape
    total: float = 1.0
    for octave in range(1, settings.octaves + 1):
        scale = 2**octave
        weight = settings.discount**octave
        coarse = standard_normal((COLOURS, -(-height // scale), -(-width // scale)), streams)
        fine = F.interpolate(coarse, scale_factor=float(scale), mode="bilinear")[..., :height, :width]
        noise += weight * fine.repeat_interleave(channels // COLOURS, dim=1)
        total += (weight * _interpolated_variance(scale)) ** 2
    return noise / float(total**0.5)


def _interpolated_variance(scale: int) -> float:
    """Mean variance along one axis of unit noise enlarged bilinearly; its square root for both axes together."""
    share = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale
    return float((share.square() + (1.0 - share).square()).mean())


def surround_fill(clean: Tensor, mask: Tensor) -> Tensor:
    """Continue the surface around a hole smoothly into it: push-pull over a pyramid of means.

    Args:
        clean (Tensor): Latents ``(B, C, h, w)``; values under the mask are not read.
        mask (Tensor): The hole, float in {0, 1}, shape of ``clean``.

    Returns:
        Tensor: ``clean`` outside the hole, its smooth continuation inside; where a sample has no surface at all, 0.
    """
    weights = [1.0 - mask]
    values = [clean * weights[0]]
    while max(values[-1].shape[-2:]) > 1:
        size = [-(-side // 2) for side in values[-1].shape[-2:]]
        share = F.interpolate(weights[-1], size=size, mode="area")
        mean = F.interpolate(values[-1] * weights[-1], size=size, mode="area") / share.clamp_min(1e-6)
        weights.append((4.0 * share).clamp_max(1.0))
        values.append(mean)
    filled = values[-1] * (weights[-1] > 0)
    for value, weight in zip(values[-2::-1], weights[-2::-1], strict=True):
        coarse = F.interpolate(filled, size=value.shape[-2:], mode="bilinear")
        filled = weight * value + (1.0 - weight) * coarse
    return filled
