# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Codecs between image regions and latents."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from anomalib_stage.errors import InputError

__all__ = ["PixelCodec"]


class PixelCodec:
    """Lossless codec: every ``factor`` x ``factor`` block of pixels becomes one latent cell (space to depth).

    Args:
        factor (int): Side of a block in pixels. Defaults to ``2``.
    """

    def __init__(self, factor: int = 2) -> None:
        if factor < 1:
            msg = f"space-to-depth factor is {factor}; it must be at least 1"
            raise InputError(msg)
        self.factor = factor

    @property
    def channels(self) -> int:
        """Latent channels of an RGB region."""
        return 3 * self.factor**2

    def encode(self, images: Tensor) -> Tensor:
        """Images ``(B,3,H,W)`` float in [0,1] -> latents ``(B, 3*factor^2, H/factor, W/factor)`` in [-1,1]."""
        return F.pixel_unshuffle(images * 2.0 - 1.0, self.factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents -> images ``(B,3,H,W)`` float, clamped to [0,1]."""
        return ((F.pixel_shuffle(latents, self.factor) + 1.0) / 2.0).clamp(0.0, 1.0)

    def encode_mask(self, masks: Tensor) -> Tensor:
        """Masks ``(B,1,H,W)`` bool -> latent masks ``(B, 3*factor^2, h, w)`` float in {0,1}, exact to the pixel."""
        return F.pixel_unshuffle(masks.float().expand(-1, 3, -1, -1), self.factor)
