# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of a bank that stand ready for one batch, and how they get into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.plugin.pairs.painting import Painting

__all__ = ["Placed", "alike"]

CLOSE = 2 / 255
"""How far a pair may be from its clean image outside the mask, on average: what two JPEG decoders make of one file."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Pairs that stand ready for the images of one batch.

    Args:
        chosen (Tensor): ``(B,)`` bool, images whose anomaly is the bank's business, on the CPU.
        index (list[int]): Images that get a pair, K of them.
        image (Tensor): ``(K, 3, H, W)`` in [0, 1].
        mask (Tensor): ``(K, 1, H, W)`` bool.
        whole (bool): The pair takes the place of the image; False: its masked pixels are put onto the image, which is
            the good image that it was painted into.
        put_back (int): Images that stay good because the model would have seen no defect of any pair tried.
    """

    chosen: Tensor
    index: list[int]
    image: Tensor
    mask: Tensor
    whole: bool
    put_back: int = 0

    def onto(self, painting: Painting) -> Painting:
        """Put the pairs into a batch.

        Args:
            painting (Painting): The batch, its images at the places in ``index`` untouched.

        Returns:
            Painting: The same with the pairs.

        Raises:
            InputError: If masked pixels are to be put onto an image that is not the pair's: the defect would not fit.
        """
        image, mask, painted = painting.image.clone(), painting.mask.clone(), painting.painted.clone()
        for i, pair, where in zip(self.index, self.image.to(image), self.mask.to(image.device), strict=True):
            if not self.whole and not alike(pair, where, image[i]):
                msg = (
                    "StageAugment(bank=...): the model's generator is handed other images than the batch has. A random "
                    "augmentation lies between, which pregenerated pairs cannot follow; turn it off (FoundAD: "
                    "use_few_shot_augmentation=False), or leave the bank out"
                )
                raise InputError(msg)
            image[i] = pair if self.whole else torch.where(where, pair, image[i])
            mask[i] = painted[i] = where
        return replace(painting, image=image, mask=mask, painted=painted, put_back=painting.put_back + self.put_back)


def alike(image: Tensor, mask: Tensor, clean: Tensor) -> bool:
    """Tell whether a picture is a clean one outside its mask; the resize may have smeared the mask's edge.

    Args:
        image (Tensor): ``(3, H, W)`` in [0, 1].
        mask (Tensor): ``(1, H, W)`` bool.
        clean (Tensor): ``(3, H, W)`` in [0, 1], same device.
    """
    outside = functional.max_pool2d(mask[None].float(), 5, stride=1, padding=2)[0] == 0
    difference = (image - clean).abs().mean(dim=0, keepdim=True)[outside]
    return not len(difference) or bool(difference.mean() <= CLOSE)
