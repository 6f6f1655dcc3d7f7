# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded regions with an anomaly each, and which of them to encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LatentRegions", "RegionPlan"]


@dataclass(frozen=True, eq=False)
class LatentRegions:
    """Encoded regions with an anomaly each.

    Args:
        clean (Tensor): Latents ``(N, C, h, w)`` float32 of the regions, anomaly and all.
        mask (Tensor): Anomaly masks ``(N, 1, h, w)`` uint8 in {0, 1}.
        defect (Tensor): Position of each region's defect, ``(N,)`` int64.
        surround (Tensor): Latents of the regions with the anomaly cut out, for inpainting; else ``(N, 0, h, w)``.
    """

    clean: Tensor
    mask: Tensor
    defect: Tensor
    surround: Tensor

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.clean)

    def pack(self) -> dict[str, Tensor]:
        """Return all of it by name."""
        return {"clean": self.clean, "mask": self.mask, "kind": self.defect, "surround": self.surround}


@dataclass(frozen=True)
class RegionPlan:
    """Which regions to encode.

    Args:
        defects (tuple[str, ...]): Defects in the order of the positions.
        count (int): Number of regions.
        side (int): Side of a region in pixels.
        seed (int): Base seed; region ``i`` is a function of it and ``i``.
        inpainting (bool): Encode the regions without their anomalies too.
    """

    defects: tuple[str, ...]
    count: int
    side: int
    seed: int
    inpainting: bool
