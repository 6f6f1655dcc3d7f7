# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank additions to a frozen U-Net's attention, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import MissingPackageError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

__all__ = ["add_lora", "merged"]

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


def merged(unet: UNet2DConditionModel) -> None:
    """Merge the additions into the layers that they were added to, in place; their names are the old ones again."""
    unet.fuse_lora()
    unet.unload_lora()
