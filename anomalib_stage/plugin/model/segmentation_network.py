# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A segmentation network for images of any size, with anomalib's answer."""

from __future__ import annotations

import torch
from anomalib.data import InferenceBatch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SegmentationNetwork"]

STRIDE = 32
"""Sides of a network's input are multiples of this: five halvings."""


class SegmentationNetwork(nn.Module):
    """A network for images of any size, with anomalib's answer: maps and scores.

    Images are padded at the right and at the bottom, with their border pixels, to multiples of 32, and maps are cropped
    back. Memory is laid out channels last, which convolutions on the CPU, and in half precision on the GPU, want.

    Args:
        network (nn.Module): From images ``(B, 3, H, W)`` to logits ``(B, 1, H, W)``, for multiples of 32.
        score_pixels (int): Number of pixels that make an image's score.
    """

    def __init__(self, network: nn.Module, *, score_pixels: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.score_pixels = score_pixels

    def compute_logits(self, images: Tensor) -> Tensor:
        """Return float32 logits ``(B, 1, H, W)`` for normalised images ``(B, 3, H, W)``."""
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        logits: Tensor = self.network(padded.contiguous(memory_format=torch.channels_last))
        return logits[..., :height, :width].float()

    def forward(self, images: Tensor) -> InferenceBatch:
        """Find anomalies.

        Args:
            images (Tensor): Normalised images ``(B, 3, H, W)``.

        Returns:
            InferenceBatch: ``anomaly_map`` ``(B, 1, H, W)`` float32 in [0, 1], the probability that a pixel is
            anomalous; ``pred_score`` ``(B,)`` float32 in [0, 1], the mean of the highest pixels.
        """
        anomaly_map = self.compute_logits(images).sigmoid()
        highest = anomaly_map.flatten(1).topk(min(self.score_pixels, anomaly_map[0].numel()), dim=1).values
        return InferenceBatch(pred_score=highest.mean(dim=1), anomaly_map=anomaly_map)
