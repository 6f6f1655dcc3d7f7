# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What was painted into one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Painting"]


@dataclass(frozen=True, eq=False)
class Painting:
    """What was painted into one batch.

    Args:
        image (Tensor): ``(B, 3, H, W)``, dtype and device of the input, [0, 1].
        mask (Tensor): ``(B, 1, H, W)`` bool, the anomalies.
        painted (Tensor): ``(B, 1, H, W)`` bool, every pixel that may have changed: anomalies and negatives.
        put_back (int): Images that were to be anomalous and are clean, because the model would not have seen it.
        rejected (int): Images that were to be anomalous and are clean, because no picture tried was visible enough.
    """

    image: Tensor
    mask: Tensor
    painted: Tensor
    put_back: int = 0
    rejected: int = 0

    @classmethod
    def untouched(cls, images: Tensor) -> Painting:
        """Begin with a copy of good images in which nothing is painted yet."""
        plain = images.as_subclass(torch.Tensor).clone()
        mask = torch.zeros_like(plain[:, :1], dtype=torch.bool)
        return cls(plain, mask, mask.clone())

    @property
    def anomalous(self) -> Tensor:
        """Samples with an anomaly, ``(B,)`` bool."""
        return self.mask.flatten(1).any(dim=1)

    @property
    def negative(self) -> Tensor:
        """Samples with re-synthesized good surface, ``(B,)`` bool."""
        return self.painted.flatten(1).any(dim=1) & ~self.anomalous
