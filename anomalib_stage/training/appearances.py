# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Collect the appearances of the training's anomalies for a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import default_collate

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.dataset import RegionDataset, StepBatches
    from anomalib_stage.training.network.module import GradedDiffusion

__all__ = ["collect_appearances"]

LOOKED_AT = 320
"""Training batches whose anomalies are measured."""

MOST = 384
"""Most appearances kept for a defect."""


@torch.no_grad()
def collect_appearances(
    module: GradedDiffusion, dataset: RegionDataset, batches: StepBatches, *, defects: Collection[str], steps: int
) -> dict[str, NDArray[np.float32]]:
    """Measure the anomalies of the first training batches.

    Args:
        module (GradedDiffusion): Encodes them.
        dataset (RegionDataset): The training's examples.
        batches (StepBatches): The training's batches.
        defects (Collection[str]): Defects to keep appearances of.
        steps (int): Steps that the training took.

    Returns:
        dict[str, NDArray[np.float32]]: For each of the defects that occurs at most 384 rows of
        :data:`~anomalib_stage.synthesis.appearance.appearance.APPEARANCE_COLUMNS`.
    """
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for step in range(min(steps, LOOKED_AT)):
        batch = default_collate([dataset[key] for key in batches.list_keys(step)])
        for defect, row in zip(batch["kind"].tolist(), module.measure_appearances(batch).cpu().numpy(), strict=True):
            rows.setdefault(module.defects[defect], []).append(row)
    return {defect: np.stack(found[:MOST]) for defect, found in sorted(rows.items()) if defect in defects}
