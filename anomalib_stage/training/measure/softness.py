# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How soft the edges of each defect are: painted anomalies end as real ones do in masks drawn by people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from anomalib_stage.metrics.crops import cut_crops
from anomalib_stage.metrics.statistics import build_feature_table
from anomalib_stage.synthesis.blend.feather import feather_alpha, feather_width
from anomalib_stage.synthesis.blend.two_level import find_two_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

__all__ = ["Painted", "measure_softness", "soften"]


@dataclass(frozen=True)
class SoftnessSearch:
    """How the softness of edges is found.

    Attributes:
        tried: Values tried.
        statistics: Statistics of an anomaly's edge, which are compared.
        pixels: Pixels of the smallest anomaly that can have a soft edge.
        fewest: With fewer anomalies of a side nothing is said.
        spread: Least deviation of the real ones, in octaves, that gaps are measured in.
    """

    tried: tuple[float, ...] = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
    statistics: tuple[str, ...] = ("seam", "edge", "step")
    pixels: int = 64
    fewest: int = 3
    spread: float = 0.25


SEARCH = SoftnessSearch()


class Painted(NamedTuple):
    """A painted anomaly that ends at the edge of its mask.

    Args:
        before (NDArray[np.uint8]): Good image, ``(H, W, 3)`` RGB.
        after (NDArray[np.uint8]): The same with the anomaly.
        mask (NDArray[np.bool_]): ``(H, W)``.
        defect (str): Defect.
        source (int): Number of the image.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    defect: str
    source: int


def soften(painted: Painted, softness: float) -> list[Crop]:
    """Cut the anomaly out, with its edge as soft as that."""
    share = feather_alpha(painted.mask, feather_width(painted.mask, softness))[..., None]
    mixed = painted.before + share * (painted.after.astype(np.float32) - painted.before)
    return cut_crops(mixed.round().astype(np.uint8), painted.mask, defect=painted.defect, source=painted.source)


def measure_softness(painted: Sequence[Painted], real: Sequence[Crop]) -> float:
    """Choose the softness with which painted anomalies of a defect have edges like the real ones.

    Compared are the medians of the gradient across the mask's edge, against its neighbourhood and against the surface,
    and of the step there, in the real ones' deviations.

    Args:
        painted (Sequence[Painted]): Painted anomalies of a defect.
        real (Sequence[Crop]): Real ones.

    Returns:
        float: In [0, 1]; 0 where fewer than three of a side are large enough to tell, or the pictures have two levels.
    """
    wanted, painted = _select_large(real), [one for one in painted if not _has_two_levels(one)]
    if (
        len(wanted) < SEARCH.fewest
        or len(_select_large([crop for one in painted for crop in soften(one, 0.0)])) < SEARCH.fewest
    ):
        return 0.0
    truth = build_feature_table(wanted)
    gaps = []
    for softness in SEARCH.tried:
        tried = build_feature_table(_select_large([crop for one in painted for crop in soften(one, softness)]))
        gaps.append(float(np.nanmean([_compute_gap(tried[name], truth[name]) for name in SEARCH.statistics])))
    return SEARCH.tried[int(np.nanargmin(gaps))] if np.isfinite(gaps).any() else 0.0


def _has_two_levels(painted: Painted) -> bool:
    image = torch.from_numpy(painted.before).permute(2, 0, 1).float() / 255.0
    return not bool(find_two_levels(image).isnan().any())


def _select_large(crops: Sequence[Crop]) -> list[Crop]:
    return [crop for crop in crops if crop.mask.sum() >= SEARCH.pixels]


def _compute_gap(synthetic: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """Distance of the medians in the real ones' deviations, at least a quarter octave; NaN where there is none."""
    one, other = (values[np.isfinite(values)] for values in (synthetic, real))
    if not len(one) or not len(other):
        return float("nan")
    return abs(float(np.median(one) - np.median(other))) / max(float(other.std()), SEARCH.spread)
