# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is left of a mask in a model's loss, after its own down-sampling."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

__all__ = ["Survival", "keep_any_pixel", "keep_supersimplenet", "keep_uninet"]

Survival = Callable[[Tensor], Tensor]
"""Takes masks as the model gets them, ``(B, 1, H, W)`` bool, and returns ``(B,)`` bool: False where nothing is left."""


def keep_any_pixel(model: LightningModule) -> Survival:
    """Keep masks that have a pixel."""
    del model
    return lambda seen: seen.flatten(1).any(dim=1)


def keep_supersimplenet(model: LightningModule) -> Survival:
    """Keep masks that the model's own down-sampling keeps: bilinear to the feature grid, then a threshold of 0.5."""
    network: Any = model.model

    @cache
    def feature_size(height: int, width: int) -> tuple[int, ...]:
        with torch.no_grad():
            return tuple(network.feature_extractor(torch.zeros(1, 3, height, width, device=model.device)).shape[-2:])

    def survives(seen: Tensor) -> Tensor:
        cells: Tensor = network.downsample_mask(seen[:, 0], *feature_size(*seen.shape[-2:]))
        return cells.flatten(1).any(dim=1)

    return survives


def keep_uninet(model: LightningModule) -> Survival:
    """Keep masks that nearest-neighbour sampling on the finest feature grid, a quarter of the image, still hits."""
    del model

    def survives(seen: Tensor) -> Tensor:
        size = [-(-side // 4) for side in seen.shape[-2:]]
        return functional.interpolate(seen.float(), size=size, mode="nearest").flatten(1).any(dim=1)

    return survives
