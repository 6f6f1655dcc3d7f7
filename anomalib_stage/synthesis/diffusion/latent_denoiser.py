# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Denoiser of the latent backbone: a frozen text-to-image U-Net, learned condition vectors, one adapter a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.condition_vectors import ConditionVectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning

__all__ = ["LatentDenoiser"]


class LatentDenoiser(nn.Module):
    """The published arrangement: eps of a U-Net that attends to condition vectors, rewritten by a branch's adapter.

    An inpainting U-Net (twice the latent channels and a mask as input) also sees the mask and the latent of the picture
    with the anomaly cut out (``filled``). In the anomaly-only branch it sees no surface: everything is mask.

    Args:
        unet (nn.Module): ``UNet2DConditionModel`` of diffusers, or a module that is called like it.
        conditions (Mapping[str, Tensor]): For each defect its condition vectors, ``(N, D)``; all of one shape.
        aware (nn.Module | None): Adapter of the anomaly-aware branch, ``(eps, mask) -> eps``; None: there is none.
        only (nn.Module | None): Adapter of the anomaly-only branch.
        inpainting (bool): The U-Net takes mask and surface beside the noisy latent.
    """

    def __init__(
        self,
        unet: nn.Module,
        *,
        conditions: Mapping[str, Tensor],
        aware: nn.Module | None = None,
        only: nn.Module | None = None,
        inpainting: bool = False,
    ) -> None:
        super().__init__()
        self.unet = unet
        self.conditions = ConditionVectors(conditions)
        self.aware, self.only = aware, only
        self.inpainting = inpainting

    def condition(self, defects: Sequence[str]) -> Tensor:
        """Condition vectors of the named defects, ``(len(defects), N, D)``.

        Raises:
            InputError: If a defect is unknown.
        """
        return self.conditions.select(defects)

    def forward(
        self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch | Tensor
    ) -> Tensor:
        """Predict (epsilon or v, as the U-Net was trained).

        Args:
            x (Tensor): Noisy latent ``(B, C, h, w)``.
            t (Tensor): Time steps ``(B,)`` int64.
            conditioning (Conditioning): Masks ``(B, 1, h, w)`` and conditions ``(B, N, D)``; with an inpainting U-Net
                also ``filled``, the latent of the picture without the anomaly.
            aligned (Tensor): Alignment mask ``(B, 1, h, w)``, what the adapter is told.
            branch (Branch | Tensor): Branch of all samples, or ``(B,)`` float, 1 aware and 0 anomaly-only.

        Returns:
            Tensor: float32, shape of ``x``.
        """
        flag = x.new_full((len(x),), float(branch == "aware")) if isinstance(branch, str) else branch
        inputs = (
            torch.cat([x, *self._build_surface(conditioning, flag.view(-1, 1, 1, 1))], dim=1) if self.inpainting else x
        )
        dtype = next(self.unet.parameters()).dtype
        output: Tensor = self.unet(
            inputs.to(dtype), t, encoder_hidden_states=conditioning.condition.to(dtype)
        ).sample.float()
        if isinstance(branch, str):
            return self._adapt(output, aligned, branch)
        aware, only = self._adapt(output, aligned, "aware"), self._adapt(output, aligned, "only")
        return torch.where(flag.view(-1, 1, 1, 1) > 0, aware, only)

    def _adapt(self, output: Tensor, aligned: Tensor, branch: Branch) -> Tensor:
        adapter = self.aware if branch == "aware" else self.only
        return output if adapter is None else adapter(output, aligned)

    @staticmethod
    def _build_surface(conditioning: Conditioning, flag: Tensor) -> tuple[Tensor, Tensor]:
        if conditioning.filled is None:
            msg = "an inpainting U-Net needs conditioning.filled, the latent of the picture without the anomaly"
            raise InputError(msg)
        return torch.maximum(conditioning.mask, 1.0 - flag), conditioning.filled * flag
