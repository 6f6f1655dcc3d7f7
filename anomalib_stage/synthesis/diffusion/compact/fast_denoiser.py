# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The compact denoiser with frozen weights: the same numbers, with less work around them.

In the small regions that most defects need, half of a call of the module is not arithmetic: in every call autocast
turns every weight to half precision, and each of a hundred layers is a Python object with hooks. Here weights are
turned once, and layers are called as functions (:mod:`~anomalib_stage.synthesis.diffusion.compact.fast_layers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.compact.fast_layers import FrozenConv, FrozenNorm, convert_level, convert_linear
from anomalib_stage.synthesis.diffusion.tiled_denoiser import TiledDenoiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning, Denoiser

__all__ = ["FastDenoiser", "build_fast_denoiser"]


class FastDenoiser:
    """Evaluates a compact denoiser whose weights no longer change, on the CPU, to the bit as the module does.

    A batch of 64 and more may differ in the last bits: there the module changes the memory layout on its way up.

    Args:
        network (CompactDenoiser): In evaluation mode, on the CPU; what is done to it later has no effect here.
    """

    def __init__(self, network: CompactDenoiser) -> None:
        unet: Any = network.unet
        self.cells = network.cells
        self._dtype = dtype = torch.bfloat16 if bf16_is_fast(unet.conv_in.weight.device) else torch.float32
        self._time_proj = unet.time_proj
        self._time = [
            convert_linear(layer, dtype) for layer in (unet.time_embedding.linear_1, unet.time_embedding.linear_2)
        ]
        blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
        # all layers' shares of the time embedding in one product
        shares = [convert_linear(resnet.time_emb_proj, dtype) for block in blocks for resnet in block.resnets]
        weights, biases = zip(*shares, strict=True)
        self._shares, self._widths = (torch.cat(weights), torch.cat(biases)), [len(bias) for bias in biases]
        self._first, self._last = FrozenConv(unet.conv_in, dtype), FrozenConv(unet.conv_out, dtype)
        self._last_norm = FrozenNorm(unet.conv_norm_out)
        self._down = [convert_level(block, block.downsamplers, dtype) for block in unet.down_blocks]
        self._middle, _ = convert_level(unet.mid_block, None, dtype)
        self._up = [convert_level(block, block.upsamplers, dtype) for block in unet.up_blocks]

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Predict; see :class:`~anomalib_stage.synthesis.diffusion.denoising.Denoiser`."""
        shares = iter(self._compute_time_shares(t, conditioning.condition))
        hidden = self._first(self._gather_inputs(x, conditioning, aligned, branch))
        kept = [hidden]
        for resnets, shrink in self._down:
            for resnet in resnets:
                hidden = resnet(hidden, next(shares))
                kept.append(hidden)
            if shrink is not None:
                hidden = shrink(hidden)
                kept.append(hidden)
        for resnet in self._middle:
            hidden = resnet(hidden, next(shares))
        for resnets, grow in self._up:
            for resnet in resnets:
                hidden = resnet(torch.cat([hidden, kept.pop()], dim=1), next(shares))
            if grow is not None:
                hidden = grow(F.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        return self._last(F.silu(self._last_norm(hidden), inplace=True)).float()

    def _compute_time_shares(self, t: Tensor, condition: Tensor) -> Sequence[Tensor]:
        """Compute what each residual block adds: ``(B, width, 1, 1)``."""
        hidden = F.silu(F.linear(self._time_proj(t).to(self._dtype), *self._time[0]))
        embedded = F.silu(F.linear(hidden, *self._time[1]) + condition).to(self._dtype)
        return torch.split(F.linear(embedded, *self._shares)[..., None, None], self._widths, dim=1)

    def _gather_inputs(self, x: Tensor, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Lay out what the network sees, in the order of :class:`CompactDenoiser`."""
        filled, cells = conditioning.filled, conditioning.mask[:, : self.cells]
        if filled is None:
            filled = fill_hole(conditioning.clean, conditioning.mask)
        aware = branch == "aware"
        surface = filled if aware else conditioning.mask * filled
        contrast = cells.amax(dim=1, keepdim=True)
        contrast = contrast * (0.0 if conditioning.contrast is None else conditioning.contrast.view(-1, 1, 1, 1))
        parts = (x, aligned[:, : self.cells], cells, surface, contrast)
        count = sum(part.shape[1] for part in parts) + 1
        inputs = torch.empty(
            (len(x), count, *x.shape[2:]), dtype=self._dtype, device=x.device, memory_format=torch.channels_last
        )
        start = 0
        for part in parts:
            inputs[:, start : start + part.shape[1]] = part
            start += part.shape[1]
        inputs[:, start:] = float(aware)
        return inputs


def build_fast_denoiser(network: CompactDenoiser) -> Denoiser:
    """Return what evaluates a network whose weights no longer change: fastest on its device, in tiles where needed."""
    return TiledDenoiser(FastDenoiser(network) if network.unet.conv_in.weight.device.type == "cpu" else network)
