# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The loss of a segmentation network: cross entropy for what is good, Dice for anomalies as a whole."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anomalib_stage.plugin.model.networks import load_smp

__all__ = ["SegmentationLoss"]


class SegmentationLoss(nn.Module):
    """Binary cross entropy, plus the Dice loss of each image that has an anomaly.

    Dice weighs anomalies as a whole, however small. It is taken image by image: over a batch, one large anomaly that is
    hard to see would outweigh all small ones, and a network may then give up on all of them. Cross entropy teaches what
    is good.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = nn.BCEWithLogitsLoss()
        self.dice = load_smp().losses.DiceLoss("binary")

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits (Tensor): ``(B, 1, H, W)`` float32.
            masks (Tensor): ``(B, H, W)`` bool, True where a pixel is anomalous.

        Returns:
            Tensor: Scalar; finite also without any anomaly.
        """
        wanted = masks[:, None].to(logits.dtype)
        anomalous = masks.flatten(1).any(dim=1).sum().clamp_min(1)
        each = [self.dice(logits[i : i + 1], wanted[i : i + 1]) for i in range(len(masks))]  # 0 where it is good
        loss: Tensor = self.cross_entropy(logits, wanted) + torch.stack(each).sum() / anomalous
        return loss
