# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Images and masks as a model will get them from its pre-processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torchvision import tv_tensors

from anomalib_stage.plugin.streams import keep_streams

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule
    from torch import Tensor

__all__ = ["to_model_input", "to_model_masks"]


def to_model_input(model: LightningModule, images: Tensor, *, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return images and masks ``(B, 1, H, W)`` bool as the model will get them from its pre-processor."""
    transform = getattr(getattr(model, "pre_processor", None), "transform", None)
    if transform is None:
        return images, masks
    devices = [images.device] if images.is_cuda else []
    with keep_streams(devices):  # a user's random transform must not move them, and draws the same when it is its turn
        shown, seen = transform(tv_tensors.Image(images), tv_tensors.Mask(masks))
    return shown.as_subclass(torch.Tensor), seen.as_subclass(torch.Tensor).bool()


def to_model_masks(model: LightningModule, images: Tensor, *, masks: Tensor) -> Tensor:
    """Return masks ``(B, 1, H, W)`` bool as the model will get them, after the resize and crop of its pre-processor."""
    return to_model_input(model, images, masks=masks)[1]
