# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Turn a trained denoiser into a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage.synthesis.masks.bank import BANK_PREFIXES, pack_bank
from anomalib_stage.training.data.regions.dataset import REGION_SIDE
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.manifest import DefectSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
    from anomalib_stage.synthesis.masks.bank_mask import BankMask
    from anomalib_stage.training.network.module import GradedDiffusion

__all__ = ["export_bundle"]

LIKENESS = ("softness", "texture_continuity")
"""Fields of a defect that are measured on real defects."""

MEASURED = (*BANK_PREFIXES, "look.")


def export_bundle(
    module: GradedDiffusion,
    shapes: Mapping[str, Sequence[str]],
    *,
    appearances: Mapping[str, NDArray[np.float32]],
    bank: Mapping[str, Sequence[BankMask]],
    parent: StageBundle | None,
    summary: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
    measured: Mapping[str, Mapping[str, float]] | None = None,
) -> StageBundle:
    """Make the bundle of a trained denoiser, its weights in half precision.

    Args:
        module (GradedDiffusion): The network and its noise schedule.
        shapes (Mapping[str, Sequence[str]]): Defects and the mask shapes to draw for each.
        appearances (Mapping[str, NDArray[np.float32]]): Appearances measured in training, rows of
            :data:`~anomalib_stage.synthesis.appearance.appearance.APPEARANCE_COLUMNS`; defects that are not in it keep
            the parent's.
        bank (Mapping[str, Sequence[BankMask]]): Real masks, perhaps none, of fitted defects; others keep the parent's.
        parent (StageBundle | None): Bundle that it was fitted from.
        summary (Mapping[str, Any]): What to say about the training.
        names (Mapping[str, str] | None): Names in the network of defects that are called otherwise, and what they are
            called; everything else that is given goes by the latter.
        measured (Mapping[str, Mapping[str, float]] | None): ``softness`` and ``texture_continuity`` of the defects that
            they were measured for; the others keep the parent's.

    Returns:
        StageBundle: The bundle, not saved yet.
    """
    denoiser = module.denoiser
    state = denoiser.state_dict()
    tensors = {f"denoiser.{k.removeprefix('unet.')}": v.half() for k, v in state.items() if k.startswith("unet.")}
    called = names or {}
    tensors |= {f"condition.{called.get(name, name)}": vector.float() for name, vector in denoiser.conditions.items()}
    replaced = {prefix + defect for prefix in BANK_PREFIXES for defect in bank}
    inherited = parent.tensors if parent else {}
    tensors |= {n: tensor for n, tensor in inherited.items() if n.startswith(MEASURED) and n not in replaced}
    tensors |= {name: torch.from_numpy(array) for name, array in pack_bank(bank).items()}
    tensors |= {f"look.{defect}": torch.from_numpy(rows).half() for defect, rows in appearances.items()}
    known = {spec.name: spec.model_dump(include=set(LIKENESS)) for spec in parent.manifest.defects} if parent else {}
    return StageBundle.build(
        tensors,
        defects=[
            DefectSpec(
                name=defect, shapes=tuple(names), **known.get(defect, {}) | dict((measured or {}).get(defect, {}))
            )
            for defect, names in shapes.items()
        ],
        backbone="compact",
        denoiser=_read_config(denoiser),
        codec={"name": "pixel", "factor": round(denoiser.cells**0.5)},
        schedule=dict(module.schedule.config),
        region_size=REGION_SIDE,
        training=dict(summary),
        base_digest=parent.digest if parent else None,
    )


def _read_config(denoiser: CompactDenoiser) -> dict[str, Any]:
    config = denoiser.unet.config
    return {
        "factor": round(denoiser.cells**0.5),
        "block_out_channels": list(config.block_out_channels),
        "layers_per_block": config.layers_per_block,
        "norm_num_groups": config.norm_num_groups,
    }
