# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether large anomalies of a defect are the surface, only darker, like a stain, or another material, like rust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.metrics.statistics import build_feature_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.metrics.crops import Crop

__all__ = ["measure_texture_continuity"]


@dataclass(frozen=True)
class TextureCriteria:
    """When the texture inside of a defect is that of the surface around.

    Attributes:
        details: Texture inside against that around, at three scales, binary logarithms: 0 is the same.
        same: Mean difference in octaves up to which it is the same texture.
        other: Mean difference from which on it is another.
        pixels: Pixels of the smallest defect that shows a texture.
        fewest: With fewer such defects nothing is said.
    """

    details: tuple[str, ...] = ("detail_2", "detail_4", "detail_8")
    same: float = 0.35
    other: float = 0.7
    pixels: int = 400
    fewest: int = 3


CRITERIA = TextureCriteria()


def measure_texture_continuity(real: Sequence[Crop]) -> float | None:
    """Say how far the surface's texture goes on in large anomalies of a defect.

    Args:
        real (Sequence[Crop]): Real defects of the defect.

    Returns:
        float | None: 1: the texture inside is as strong as around, at all scales; 0: it differs by a factor of 1.6 and
        more. None where fewer than three have 400 pixels.
    """
    large = [crop for crop in real if crop.mask.sum() >= CRITERIA.pixels]
    if len(large) < CRITERIA.fewest:
        return None
    table = build_feature_table(large)
    known = [table[name][np.isfinite(table[name])] for name in CRITERIA.details]
    apart = [abs(float(np.median(values))) for values in known if len(values)]
    if not apart:
        return None
    return round(float(np.clip((CRITERIA.other - np.mean(apart)) / (CRITERIA.other - CRITERIA.same), 0.0, 1.0)), 2)
