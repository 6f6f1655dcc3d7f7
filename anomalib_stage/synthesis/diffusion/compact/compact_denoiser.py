# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The compact denoiser: a small convolutional U-Net on pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.condition_vectors import ConditionVectors
from anomalib_stage.synthesis.diffusion.compact.denoiser_config import COMPACT_CONFIG, check_config
from anomalib_stage.synthesis.diffusion.compact.group_norm import replace_group_norms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning

__all__ = ["CompactDenoiser"]


class CompactDenoiser(nn.Module):
    """Small convolutional U-Net on the space-to-depth grid; no attention, so any region size from 16 px works.

    It sees the noisy latent, the alignment mask, the anomaly mask, the background with the anomaly cut out, the hole
    filled from around it and changed by the wanted colour shift, the wanted contrast, and the branch; a learned vector
    for each defect is added to the time embedding. The anomaly-only branch sees the filled hole alone, no background.
    Without attention it is equivariant to shifts, so a large defect is painted at its own scale in a large region.

    Args:
        defects (Sequence[str]): Names of the defects, each with a condition vector.
        config (Mapping[str, Any] | None): See ``COMPACT_CONFIG``, the default.

    Raises:
        InputError: If the configuration has unknown, missing or unusable entries.
    """

    def __init__(self, defects: Sequence[str], *, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        settings = check_config(COMPACT_CONFIG if config is None else config)
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
        replace_group_norms(self.unet)
        self.conditions = ConditionVectors({defect: 0.3 * torch.randn(4 * widths[0]) for defect in defects})
        self.to(memory_format=torch.channels_last)

    def condition(self, defects: Sequence[str]) -> Tensor:
        """Condition vectors of the named defects, ``(len(defects), D)``.

        Raises:
            InputError: If a defect is unknown.
        """
        return self.conditions.select(defects)

    def forward(
        self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch | Tensor
    ) -> Tensor:
        """Predict (v or epsilon, as trained).

        Args:
            x (Tensor): Noisy latent ``(B, 3*factor^2, h, w)``.
            t (Tensor): Time steps ``(B,)`` int64.
            conditioning (Conditioning): Clean latents, masks, conditions.
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
