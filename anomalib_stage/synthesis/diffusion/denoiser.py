# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Denoisers: the compact network, an adapted epsilon network, and tiling for regions that exceed memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import EllipsisType

    from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter
    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning, Denoiser

__all__ = ["COMPACT_CONFIG", "AdaptedDenoiser", "CompactDenoiser", "TiledDenoiser"]

COMPACT_CONFIG: dict[str, Any] = {
    "factor": 2,
    "block_out_channels": [64, 96, 128],
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
"""Configuration of the bundled compact denoiser; ``factor`` is the codec's space-to-depth factor."""


class CompactDenoiser(nn.Module):
    """Small convolutional U-Net on the space-to-depth grid; no attention, so any region size from 16 px works.

    It sees the noisy latent, the alignment mask, the anomaly mask, the background with the anomaly cut out, its place
    filled from around it and changed by the wanted tone, the wanted contrast, and the branch; a learned vector for each
    defect is added to the time embedding. The anomaly-only branch sees its own place alone, and no background.
    Without attention it is equivariant to shifts, so a large defect is painted at its own scale in a large region.

    Args:
        defects (Sequence[str]): Names of the defects, each with a condition vector.
        config (Mapping[str, Any] | None): See ``COMPACT_CONFIG``, the default.

    Raises:
        InputError: If the configuration has unknown, missing or unusable entries.
    """

    def __init__(self, defects: Sequence[str], *, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        settings = _checked_config(COMPACT_CONFIG if config is None else config)
        self.cells = int(settings["factor"]) ** 2
        widths = tuple(settings["block_out_channels"])
        try:
            self.unet = _UNet(
                in_channels=8 * self.cells + 2,
                out_channels=3 * self.cells,
                block_out_channels=widths,
                layers_per_block=settings["layers_per_block"],
                norm_num_groups=settings["norm_num_groups"],
                down_block_types=("DownBlock2D",) * len(widths),
                up_block_types=("UpBlock2D",) * len(widths),
                add_attention=False,
                class_embed_type="identity",
            )
        except (TypeError, ValueError) as error:
            msg = f"denoiser configuration {settings} cannot be built: {error}"
            raise InputError(msg) from error
        _replace_group_norms(self.unet)
        self.conditions = nn.ParameterDict(
            {defect: nn.Parameter(0.3 * torch.randn(4 * widths[0])) for defect in defects}
        )
        self.to(memory_format=torch.channels_last)

    def condition(self, defects: Sequence[str]) -> Tensor:
        """Condition vectors of the named defects, ``(len(defects), D)``.

        Raises:
            InputError: If a defect is unknown.
        """
        unknown = sorted(set(defects) - set(self.conditions))
        if unknown:
            msg = f"unknown defect {unknown[0]!r}; this bundle knows {', '.join(sorted(self.conditions))}"
            raise InputError(msg)
        return torch.stack([self.conditions[defect] for defect in defects])

    def forward(
        self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch | Tensor
    ) -> Tensor:
        """Predict (v or epsilon, as trained).

        Args:
            x (Tensor): Noisy latent ``(B, 3*factor^2, h, w)``.
            t (Tensor): Time steps ``(B,)`` int64.
            conditioning (Guidance): Clean latents, masks, conditions.
            aligned (Tensor): Alignment mask, shape of ``x``.
            branch (Branch | Tensor): Branch of all samples, or ``(B,)`` float, 1 aware and 0 anomaly-only.

        Returns:
            Tensor: float32, shape of ``x``.
        """
        if isinstance(branch, str):
            branch = x.new_full((len(x),), float(branch == "aware"))
        flag = branch.view(-1, 1, 1, 1)
        mask = conditioning.mask
        filled = fill_hole(conditioning.clean, mask) if conditioning.filled is None else conditioning.filled
        surface = torch.maximum(mask, flag) * filled
        cells = mask[:, : self.cells]
        contrast = x.new_zeros(len(x)) if conditioning.contrast is None else conditioning.contrast
        planes = contrast.view(-1, 1, 1, 1) * cells.amax(dim=1, keepdim=True), flag.expand(-1, 1, *x.shape[2:])
        inputs = torch.cat([x, aligned[:, : self.cells], cells, surface, *planes], dim=1)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=bf16_is_fast(x.device)):
            output: Tensor = self.unet(inputs, t, class_labels=conditioning.condition).sample
        return output.float()


class _UNet(UNet2DModel):  # type: ignore[misc]  # diffusers' classes are untyped here
    """The network of diffusers; its ``dtype``, asked for in every call, looks at one weight and not at all of them."""

    @property
    def dtype(self) -> torch.dtype:
        return self.conv_in.weight.dtype  # type: ignore[no-any-return]


def _checked_config(config: Mapping[str, Any]) -> dict[str, Any]:
    if set(config) != set(COMPACT_CONFIG):
        msg = f"denoiser configuration has the entries {sorted(config)}; it must have exactly {sorted(COMPACT_CONFIG)}"
        raise InputError(msg)
    counts = [config["factor"], config["layers_per_block"], config["norm_num_groups"], *config["block_out_channels"]]
    if not all(isinstance(value, int) and 1 <= value <= 4096 for value in counts):
        msg = f"denoiser configuration {dict(config)} has a value outside 1..4096; all are whole numbers in that range"
        raise InputError(msg)
    return dict(config)


class _GroupNorm(nn.GroupNorm):
    """Group norm whose result for a sample does not depend on the batch it is in.

    The CPU kernel for channels-last memory splits its sums between threads by batch position, which moves bf16 results
    by up to 1e-2 between a sample alone and the same sample in a batch. Called for one sample at a time it does not,
    and it is several times faster than the kernel for contiguous memory with its copies.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training or x.device.type != "cpu":
            return super().forward(x)
        samples = torch.split(x, 1)  # keeps the layout, which indexing does not
        return torch.cat([super(_GroupNorm, self).forward(sample) for sample in samples])


def _replace_group_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.GroupNorm:
            setattr(module, name, _GroupNorm(child.num_groups, child.num_channels, eps=child.eps, affine=child.affine))
        else:
            _replace_group_norms(child)


class AdaptedDenoiser:
    """An epsilon network followed by one mask guidance adapter for each branch: the published arrangement.

    Args:
        network (Callable[[Tensor, Tensor, Tensor], Tensor]): ``(x, t, condition) -> eps``.
        aware (MaskGuidanceAdapter | Callable): Adapter of the anomaly-aware branch, ``(eps, mask) -> eps``.
        only (MaskGuidanceAdapter | Callable): Adapter of the anomaly-only branch.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor, Tensor], Tensor],
        *,
        aware: MaskGuidanceAdapter | Callable[[Tensor, Tensor], Tensor],
        only: MaskGuidanceAdapter | Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.network, self.aware, self.only = network, aware, only

    def __call__(self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Return the guided eps; see :class:`~anomalib_stage.synthesis.diffusion.sampling.Denoiser`."""
        adapter = self.aware if branch == "aware" else self.only
        guided: Tensor = adapter(self.network(x, t, conditioning.condition), aligned)
        return guided


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
        """Return the prediction; see :class:`~anomalib_stage.synthesis.diffusion.sampling.Denoiser`."""
        height, width = x.shape[-2:]
        if max(height, width) <= self.tile:
            return self.denoiser(x, t, conditioning=conditioning, aligned=aligned, branch=branch)
        total, weight = torch.zeros_like(x), x.new_zeros(1, 1, height, width)
        for top in self._starts(height):
            for left in self._starts(width):
                window = (..., slice(top, top + self.tile), slice(left, left + self.tile))
                part = self._part(conditioning, window)
                out = self.denoiser(x[window], t, conditioning=part, aligned=aligned[window], branch=branch)
                ramp = self._ramp(out)
                total[window] += ramp * out
                weight[window] += ramp
        return total / weight

    @staticmethod
    def _part(conditioning: Conditioning, window: tuple[EllipsisType, slice, slice]) -> Conditioning:
        """Return the guidance of a tile; the surface around the anomaly is that of the whole region."""
        filled = None if conditioning.filled is None else conditioning.filled[window]
        return replace(conditioning, clean=conditioning.clean[window], mask=conditioning.mask[window], filled=filled)

    def _starts(self, size: int) -> list[int]:
        if size <= self.tile:
            return [0]
        return [*range(0, size - self.tile, self.tile - self.overlap), size - self.tile]

    def _ramp(self, like: Tensor) -> Tensor:
        """Weight that falls to the tile's border over half the overlap, never to zero."""
        sides = [torch.arange(n, device=like.device, dtype=like.dtype) + 0.5 for n in like.shape[-2:]]
        rows, cols = (F.threshold(-torch.maximum(-s, s - len(s)), 0.0, 0.0).clamp_max(self.overlap / 2) for s in sides)
        return (rows[:, None] * cols[None, :])[None, None]
