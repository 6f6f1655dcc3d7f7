# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Detectors that are trained to tell repainted good surface from untouched surface.

What they can learn, a segmenter can learn: if they are better than chance, the painted pixels carry a trace. Both are
trained on the regions of half of the images and asked about those of the other half, and then the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.traces.detector import score_windows, train_detector
from anomalib_stage.metrics.traces.univariate_detectors import build_rows, compute_auroc, score_by_regression
from anomalib_stage.metrics.traces.windows import cut_window
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.metrics.crops import Crop

__all__ = ["FEWEST_IMAGES", "Verdict", "detect_repainting"]


FOLDS = 2

FEWEST_IMAGES = 8

STEPS_EACH, STEPS = 1.25, (30, 400)
"""Training steps for each region, and the least and the most; a step takes some 0.1 s of one core."""


class Verdict(NamedTuple):
    """How well repainted good surface can be told from untouched surface.

    Args:
        network (float): AUROC of a small convolutional network on images that it has not seen; 0.5 is chance.
        large (float): The same, on the half with the larger masks.
        regression (float): AUROC of a logistic regression on the statistics of each region.
        regions (int): Regions of each sort.
    """

    network: float
    large: float
    regression: float
    regions: int


def detect_repainting(
    repainted: Sequence[Crop],
    untouched: Sequence[Crop],
    *,
    seed: int = 0,
    steps: int | None = None,
    device: str | None = None,
) -> Verdict:
    """Train the detectors and score them on images that they have not seen.

    Args:
        repainted (Sequence[Crop]): Regions whose masked area was painted again as good surface.
        untouched (Sequence[Crop]): The same regions as they were, in the same order.
        seed (int): Seed of folds, weights and batches.
        steps (int | None): Training steps of the network, of 32 windows each; None: as many as the regions need.
        device (str | None): Where to train the network; None: the CPU.

    Returns:
        Verdict: Means over the folds.

    Raises:
        InputError: If the regions come from fewer than eight images, or the two lists are not of one length.
    """
    images = _list_images(repainted, untouched)
    order = numpy_generator(seed, "folds").permutation(len(images))
    fold_of = {image: int(position) % FOLDS for image, position in zip(images, order, strict=True)}
    fold = np.array([fold_of[crop.source] for crop in repainted])
    windows = [torch.stack([cut_window(crop) for crop in crops]) for crops in (repainted, untouched)]
    rows = [build_rows(crops) for crops in (repainted, untouched)]
    area = np.array([crop.mask.sum() for crop in repainted])
    large = area >= np.median(area)
    length = int(np.clip(STEPS_EACH * len(repainted), *STEPS)) if steps is None else steps
    found: dict[str, list[float]] = {"network": [], "large": [], "regression": []}
    for held_out in range(FOLDS):
        seen, asked = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        network = train_detector(windows, seen, seed=derive_seed(seed, held_out), steps=length, device=device or "cpu")
        one, other = (score_windows(network, part[asked], device=device or "cpu") for part in windows)
        found["network"].append(compute_auroc(one, other))
        found["large"].append(compute_auroc(one[large[asked]], other[large[asked]]))
        found["regression"].append(score_by_regression(rows, seen, asked))
    known = {name: [value for value in values if np.isfinite(value)] for name, values in found.items()}
    rates = {name: float(np.mean(values)) if values else float("nan") for name, values in known.items()}
    return Verdict(**rates, regions=len(repainted))


def _list_images(repainted: Sequence[Crop], untouched: Sequence[Crop]) -> list[int]:
    """Return the numbers of the images."""
    images = sorted({crop.source for crop in repainted})
    if len(images) < FEWEST_IMAGES or [crop.source for crop in repainted] != [crop.source for crop in untouched]:
        msg = (
            f"{len(repainted)} repainted and {len(untouched)} untouched regions of {len(images)} images; give pairs "
            f"in one order, of at least {FEWEST_IMAGES} images, so that some can be kept from the training"
        )
        raise InputError(msg)
    return images
