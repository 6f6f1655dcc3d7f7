# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Tiling, for regions that exceed memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from types import EllipsisType

    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning, Denoiser

__all__ = ["TiledDenoiser"]


class TiledDenoiser:
    """Evaluates a denoiser in overlapping tiles and averages them, so that memory does not grow with the region.

    All tiles share the region's latent and noise, so the anomaly is one painting at its own scale, not a patchwork.

    Args:
        denoiser (Denoiser): A shift-equivariant denoiser.
        tile (int): Side of a tile in latent cells.
        overlap (int): Cells that neighbouring tiles share.
    """

    def __init__(self, denoiser: Denoiser, *, tile: int = 256, overlap: int = 32) -> None:
        self.denoiser, self.tile, self.overlap = denoiser, tile, overlap

    def __call__(self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Return the prediction; see :class:`~anomalib_stage.synthesis.diffusion.denoising.Denoiser`."""
        height, width = x.shape[-2:]
        if max(height, width) <= self.tile:
            return self.denoiser(x, t, conditioning=conditioning, aligned=aligned, branch=branch)
        total, weight = torch.zeros_like(x), x.new_zeros(1, 1, height, width)
        for top in self._find_starts(height):
            for left in self._find_starts(width):
                window = (..., slice(top, top + self.tile), slice(left, left + self.tile))
                part = self._cut_conditioning(conditioning, window)
                out = self.denoiser(x[window], t, conditioning=part, aligned=aligned[window], branch=branch)
                ramp = self._build_ramp(out)
                total[window] += ramp * out
                weight[window] += ramp
        return total / weight

    @staticmethod
    def _cut_conditioning(conditioning: Conditioning, window: tuple[EllipsisType, slice, slice]) -> Conditioning:
        """Return the conditioning of a tile; the surface around the anomaly is that of the whole region."""
        filled = None if conditioning.filled is None else conditioning.filled[window]
        return replace(conditioning, clean=conditioning.clean[window], mask=conditioning.mask[window], filled=filled)

    def _find_starts(self, size: int) -> list[int]:
        if size <= self.tile:
            return [0]
        return [*range(0, size - self.tile, self.tile - self.overlap), size - self.tile]

    def _build_ramp(self, like: Tensor) -> Tensor:
        """Weight that falls to the tile's border over half the overlap, never to zero."""
        sides = [torch.arange(n, device=like.device, dtype=like.dtype) + 0.5 for n in like.shape[-2:]]
        rows, cols = (F.threshold(-torch.maximum(-s, s - len(s)), 0.0, 0.0).clamp_max(self.overlap / 2) for s in sides)
        return (rows[:, None] * cols[None, :])[None, None]
