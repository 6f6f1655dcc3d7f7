# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether large defects of a defect are the surface in another tone, like a stain, or another material, like rust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.metrics.statistics import build_feature_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.metrics.crops import Crop

__all__ = ["measure_texture_continuity"]

DETAILS = ("detail_2", "detail_4", "detail_8")
"""Texture inside against that around, at three scales, binary logarithms: 0 is the same."""

SAME, OTHER = 0.35, 0.7
"""Mean difference in octaves up to which it is the same texture, and from which on it is another."""

SMALLEST, FEWEST = 400, 3


def measure_texture_continuity(real: Sequence[Crop]) -> float | None:
    """Say how far the surface's texture goes on in large defects of a defect.

    Args:
        real (Sequence[Crop]): Real defects of the defect.

    Returns:
        float | None: 1: the texture inside is as strong as around, at all scales; 0: it differs by a factor of 1.6 and
        more. None where fewer than three have 400 pixels.
    """
    large = [cut for cut in real if cut.mask.sum() >= SMALLEST]
    if len(large) < FEWEST:
        return None
    table = build_feature_table(large)
    known = [table[name][np.isfinite(table[name])] for name in DETAILS]
    apart = [abs(float(np.median(values))) for values in known if len(values)]
    if not apart:
        return None
    return round(float(np.clip((OTHER - np.mean(apart)) / (OTHER - SAME), 0.0, 1.0)), 2)
