# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a new defect starts: at the known defect whose condition vector explains its examples best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.data import default_collate

from anomalib_stage.pipeline.synthesizer import GOOD
from anomalib_stage.seeds import derive_seed
from anomalib_stage.training.data.regions.dataset import REGION_SIDE, RegionDataset
from anomalib_stage.training.data.regions.real_defects import RealDefects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.training.network.module import GradedDiffusion

__all__ = ["warm_start"]

LOOKED_AT = 16
"""Regions of a new defect that the known defects are tried on."""


@torch.no_grad()
def warm_start(module: GradedDiffusion, real: RealDefects, *, known: Sequence[str], seed: int) -> dict[str, str]:
    """Give each new defect the condition vector of the known defect with the lowest loss on its examples.

    Args:
        module (GradedDiffusion): The module, on the CPU, with the base's weights; changed in place.
        real (RealDefects): Examples.
        known (Sequence[str]): Defects of the base; ``good`` is none to start from.
        seed (int): Base seed.

    Returns:
        dict[str, str]: The known defect that each new one starts from.
    """
    candidates = [defect for defect in known if defect != GOOD]
    starts: dict[str, str] = {}
    module.eval()
    new = {defect: pool for defect, pool in real.group_by_defect.items() if defect not in known and candidates}
    for defect, pool in new.items():
        examples = RealDefects(pool, plain=True)
        dataset = RegionDataset(examples, defects=module.defects, seed=derive_seed(seed, "similar"))
        batch = default_collate([dataset[i, REGION_SIDE] for i in range(LOOKED_AT)])
        losses = {}
        for candidate in candidates:
            position = torch.full_like(batch["kind"], module.defects.index(candidate))
            losses[candidate] = float(module.compute_losses(batch | {"kind": position}).mean())
        starts[defect] = min(losses, key=losses.__getitem__)
        module.denoiser.conditions[defect].copy_(module.denoiser.conditions[starts[defect]])
    module.train()
    return starts
