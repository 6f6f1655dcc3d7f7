# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of a bank and pictures of the network in one batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.pipeline.pair import Pair

__all__ = ["is_same_outside", "merge_pairs"]

CLOSE = 2 / 255
"""How far a pair may be from its clean image outside the mask, on average: what two JPEG decoders make of one file."""


def merge_pairs(painted: Pair, bank: Pair, *, whole: bool) -> Pair:
    """Put pairs of a bank into a batch.

    Args:
        painted (Pair): The batch as the network painted it, untouched where the bank has a pair.
        bank (Pair): Pairs of the bank, in the samples with a label.
        whole (bool): A pair takes the place of the image; False: its masked pixels are put onto the image, which is the
            good image that it was painted into.

    Returns:
        Pair: Both.

    Raises:
        InputError: If masked pixels are to be put onto an image that is not the pair's: the defect would not fit.
    """
    device = painted.image.device
    pixels, mask = bank.image.to(painted.image), bank.mask.to(device)
    label = bank.label.to(device)
    for i in label.nonzero().flatten().tolist() if not whole else ():
        if not is_same_outside(pixels[i], mask[i], painted.image[i]):
            msg = (
                "StageAugment(bank=...): the model's generator is handed other images than the batch has. A random "
                "augmentation lies between, which pregenerated pairs cannot follow; turn it off (FoundAD: "
                "use_few_shot_augmentation=False), or leave the bank out"
            )
            raise InputError(msg)
    where = label.view(-1, 1, 1, 1) if whole else mask
    return replace(
        painted,
        image=torch.where(where, pixels, painted.image),
        mask=painted.mask | mask,
        painted=painted.painted | mask,
        label=painted.label | label,
    )


def is_same_outside(image: Tensor, mask: Tensor, clean: Tensor) -> bool:
    """Tell whether a picture is a clean one outside its mask; the resize may have smeared the mask's edge.

    Args:
        image (Tensor): ``(3, H, W)`` in [0, 1].
        mask (Tensor): ``(1, H, W)`` bool.
        clean (Tensor): ``(3, H, W)`` in [0, 1], same device.
    """
    outside = functional.max_pool2d(mask[None].float(), 5, stride=1, padding=2)[0] == 0
    difference = (image - clean).abs().mean(dim=0, keepdim=True)[outside]
    return not len(difference) or bool(difference.mean() <= CLOSE)
