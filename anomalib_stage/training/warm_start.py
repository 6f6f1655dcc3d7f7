# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a new kind starts: at the known kind whose condition vector explains its examples best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.data import default_collate

from anomalib_stage.pipeline.synthesizer import GOOD
from anomalib_stage.seeds import derive_seed
from anomalib_stage.training.data.dataset import RealDefects, RegionDataset
from anomalib_stage.training.export import REGION_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.training.module import GradedDiffusion

__all__ = ["start_from_similar"]

LOOKED_AT = 16
"""Regions of a new kind that the known kinds are tried on."""


@torch.no_grad()
def start_from_similar(
    module: GradedDiffusion, real: RealDefects, *, known: Sequence[str], seed: int
) -> dict[str, str]:
    """Give each new kind the condition vector of the known kind with the lowest loss on its examples.

    Args:
        module (GradedDiffusion): The module, on the CPU, with the base's weights; changed in place.
        real (RealDefects): Examples.
        known (Sequence[str]): Kinds of the base; ``good`` is none to start from.
        seed (int): Base seed.

    Returns:
        dict[str, str]: The known kind that each new one starts from.
    """
    candidates = [kind for kind in known if kind != GOOD]
    starts: dict[str, str] = {}
    module.eval()
    new = {kind: pool for kind, pool in real.by_kind.items() if kind not in known and candidates}
    for kind, pool in new.items():
        examples = RealDefects(pool, plain=True)
        dataset = RegionDataset(examples, kinds=module.kinds, seed=derive_seed(seed, "similar"))
        batch = default_collate([dataset[i, REGION_SIDE] for i in range(LOOKED_AT)])
        losses = {}
        for candidate in candidates:
            position = torch.full_like(batch["kind"], module.kinds.index(candidate))
            losses[candidate] = float(module.losses(batch | {"kind": position}).mean())
        starts[kind] = min(losses, key=losses.__getitem__)
        module.denoiser.conditions[kind].copy_(module.denoiser.conditions[starts[kind]])
    module.train()
    return starts
