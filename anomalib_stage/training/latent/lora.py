# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank additions to a frozen U-Net's attention, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import MissingPackageError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from torch import Tensor

__all__ = ["add_lora", "take_lora"]

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


def add_lora(unet: UNet2DConditionModel, rank: int, *, seed: int) -> None:
    """Add trainable matrices of low rank to the attention layers, in place; they start at no effect.

    Args:
        unet (UNet2DConditionModel): Frozen U-Net.
        rank (int): Rank, at least 1.
        seed (int): Seed of the initial numbers.

    Raises:
        MissingPackageError: If peft is not installed.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        msg = '--lora-rank needs peft; install "anomalib-stage[lora]", or leave the option out'
        raise MissingPackageError(msg) from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ATTENTION)))


def take_lora(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """Take the additions out of a U-Net, in place; its weights and their names are the old ones again.

    Returns:
        dict[str, Tensor]: ``lora.<layer>.down`` ``(rank, inputs)`` and ``lora.<layer>.up`` ``(outputs, rank)``, float32
            on the CPU; a layer's weights grow by ``up @ down`` (rank and scale are alike, so their quotient is 1).
    """
    taken = {}
    for name, module in unet.named_modules():
        for part, old in (("down", "lora_A"), ("up", "lora_B")):
            for adapter in getattr(module, old, {}).values():
                taken[f"lora.{name}.{part}"] = adapter.weight.detach().float().cpu().clone()
    unet.unload_lora()
    return taken
