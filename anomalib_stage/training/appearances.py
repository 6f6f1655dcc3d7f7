# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Collect the looks of the training's anomalies for a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import default_collate

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from anomalib_stage.training.data.dataset import RegionDataset, StepBatches
    from anomalib_stage.training.module import GradedDiffusion

__all__ = ["measured_looks"]

LOOKED_AT = 320
"""Training batches whose anomalies are measured."""

MOST = 384
"""Most looks kept for a kind."""


@torch.no_grad()
def measured_looks(
    module: GradedDiffusion, dataset: RegionDataset, batches: StepBatches, *, kinds: Collection[str], steps: int
) -> dict[str, NDArray[np.float32]]:
    """Measure the anomalies of the first training batches.

    Args:
        module (GradedDiffusion): Encodes them.
        dataset (RegionDataset): The training's examples.
        batches (StepBatches): The training's batches.
        kinds (Collection[str]): Kinds to keep looks of.
        steps (int): Steps that the training took.

    Returns:
        dict[str, NDArray[np.float32]]: For each of the kinds that occurs at most 384 rows of
        :data:`~anomalib_stage.synthesis.appearance.appearance.LOOK_COLUMNS`.
    """
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for step in range(min(steps, LOOKED_AT)):
        batch = default_collate([dataset[key] for key in batches.at(step)])
        for kind, row in zip(batch["kind"].tolist(), module.looks(batch).cpu().numpy(), strict=True):
            rows.setdefault(module.kinds[kind], []).append(row)
    return {kind: np.stack(found[:MOST]) for kind, found in sorted(rows.items()) if kind in kinds}
