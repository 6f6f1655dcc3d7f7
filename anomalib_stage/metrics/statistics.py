# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of an anomaly against the surface around it: brightness, contrast, spectrum, grain, grid, colour, seam.

Ratios are binary logarithms, inside over around: 0 is the surface itself, 1 twice as much, -1 half. A statistic that a
small or thin mask cannot carry is NaN; so are those of colour in a grey picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.metrics.log_ratios import compute_log2, compute_log_ratio
from anomalib_stage.metrics.mask_edge import compare_edge
from anomalib_stage.metrics.pixel_group import PixelGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

__all__ = ["STATISTICS", "build_feature_table", "compute_statistics"]


STATISTICS: dict[str, str] = {
    "tone": "mean inside minus mean around, grey levels",
    "contrast": "deviation of grey levels, log2 ratio",
    "detail_2": "strength of detail of 2 to 4 px (grain), log2 ratio",
    "detail_4": "strength of detail of 4 to 8 px, log2 ratio",
    "detail_8": "strength of detail of 8 to 16 px, log2 ratio",
    "detail_16": "strength of detail of 16 to 32 px, log2 ratio",
    "tails": "kurtosis of the grain, log2 ratio",
    "smoothness": "correlation of the grain with that of the next pixel, difference",
    "ripple": "correlation of the grain with that two pixels away, difference",
    "grid_2": "pattern with a period of two pixels (cells of the codec), log2 of its power over chance",
    "grid_8": "steps every eight pixels (JPEG), log2 ratio",
    "colour": "strength of colour noise, log2 ratio",
    "colour_link": "correlation of the grain between colours, difference",
    "direction": "horizontal over vertical detail, log2 ratio, without sign",
    "levels": "entropy of the grey levels, bits, difference",
    "seam": "gradient across the mask's edge over that of its neighbours, log2 ratio",
    "edge": "gradient across the mask's edge over that around, log2 ratio",
    "step": "mean step at the mask's edge over unevenness around, log2 ratio",
}
"""Names and meanings, in the order of tables."""


def compute_statistics(crop: Crop) -> dict[str, float]:
    """Measure an anomaly.

    Args:
        crop (Crop): The anomaly.

    Returns:
        dict[str, float]: A value, or NaN, for each of :data:`STATISTICS`.
    """
    inside, around = PixelGroup(crop, crop.mask), PixelGroup(crop, crop.around)
    found = {
        "tone": inside.mean - around.mean,
        "contrast": compute_log_ratio(inside.deviation, around.deviation),
        "tails": compute_log2(inside.kurtosis) - compute_log2(around.kurtosis),
        "smoothness": inside.compute_correlation(1) - around.compute_correlation(1),
        "ripple": inside.compute_correlation(2) - around.compute_correlation(2),
        "grid_2": inside.grid_of_two,
        "grid_8": inside.grid_of_eight - around.grid_of_eight,
        "colour": compute_log_ratio(inside.colour_noise, around.colour_noise),
        "colour_link": inside.colour_link - around.colour_link,
        "direction": abs(inside.direction - around.direction),
        "levels": inside.entropy - around.entropy,
    }
    found |= {
        f"detail_{2 ** (i + 1)}": compute_log_ratio(*pair)
        for i, pair in enumerate(zip(inside.details, around.details, strict=True))
    }
    found |= compare_edge(crop, inside, around)
    return {name: float(found[name]) for name in STATISTICS}


def build_feature_table(crops: Sequence[Crop]) -> dict[str, NDArray[np.float64]]:
    """Measure anomalies: for each of :data:`STATISTICS` an array with one value for each crop."""
    rows = [compute_statistics(crop) for crop in crops]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in STATISTICS}
