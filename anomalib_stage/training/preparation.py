# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""All that a fit does before its first step: it reads, checks and builds, down to the bundle, and writes nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from anomalib_stage.devices import resolve_device
from anomalib_stage.rendering.defect_types.painters import DEFECT_SHAPES
from anomalib_stage.training.checkpoint import find_checkpoint
from anomalib_stage.training.data.picture_lists import read_include
from anomalib_stage.training.data.regions.mixture import build_mixture
from anomalib_stage.training.data.training_data import load_training_data
from anomalib_stage.training.export import export_bundle
from anomalib_stage.training.learnt_names import choose_names
from anomalib_stage.training.measure.mask_bank import build_mask_bank
from anomalib_stage.training.network.plan import build_module, build_plan
from anomalib_stage.training.network.warm_start import warm_start
from anomalib_stage.training.places import check_places
from anomalib_stage.training.report import list_known_pictures, log_report, summarize_learnt
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.bank_mask import BankMask
    from anomalib_stage.training.data.regions.example import Source
    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.training.learnt_names import LearntNames
    from anomalib_stage.training.network.module import GradedDiffusion
    from anomalib_stage.training.network.plan import Plan
    from anomalib_stage.training.settings import FitSettings

__all__ = ["Preparation", "prepare_fit"]


class Preparation(NamedTuple):
    """What a fit starts from.

    Args:
        chosen (FitSettings): The settings.
        device (torch.device): Where to train.
        checkpoint (Path | None): What is resumed.
        names (LearntNames): Names of defects in the training and in the bundle.
        data (TrainingData): The user's pictures, under the names of the training.
        named (TrainingData): The same under the names of the bundle.
        parent (StageBundle | None): Bundle to start from.
        plan (Plan): What changes.
        source (Source): Source of training regions.
        module (GradedDiffusion): What is trained.
        bank (dict[str, list[BankMask]]): Real masks for the bundle.
        summary (dict[str, Any]): What the bundle says of the training.
    """

    chosen: FitSettings
    device: torch.device
    checkpoint: Path | None
    names: LearntNames
    data: TrainingData
    named: TrainingData
    parent: StageBundle | None
    plan: Plan
    source: Source
    module: GradedDiffusion
    bank: dict[str, list[BankMask]]
    summary: dict[str, Any]

    def export(
        self,
        *,
        appearances: Mapping[str, NDArray[np.float32]],
        summary: Mapping[str, Any],
        measured: Mapping[str, Mapping[str, float]] | None = None,
    ) -> StageBundle:
        """Make the bundle of the weights that the network has now; see :func:`export_bundle`.

        Args:
            appearances (Mapping[str, NDArray[np.float32]]): By names of the training.
            summary (Mapping[str, Any]): What to say about the training beside ``self.summary``.
            measured (Mapping[str, Mapping[str, float]] | None): By names of the bundle.
        """
        return export_bundle(
            self.module,
            self.names.apply(self.plan.shapes),
            names=self.names.changes,
            appearances=self.names.apply(appearances),
            bank=self.bank,
            parent=self.parent,
            summary=self.summary | dict(summary),
            measured=measured,
        )


def prepare_fit(chosen: FitSettings) -> Preparation:
    """Read and check everything, and build the bundle of the network before it has learnt, as it will be built after.

    Raises:
        StageError: If anything is wrong that can be known before the first step.
    """
    check_places(chosen.out, chosen.folder)
    device = resolve_device(chosen.device)
    checkpoint = find_checkpoint(chosen.folder) if chosen.resume else None
    included = read_include(chosen.split) if chosen.split else None
    names = choose_names(chosen.folder, chosen.defect_dir, chosen.rename, include=included, checkpoint=checkpoint)
    parent = None if chosen.base == "none" else StageBundle.load(chosen.base)
    names.check({*DEFECT_SHAPES, *(parent.defects if parent else ())})
    data = _load_data(chosen, names)
    share = chosen.rendered_share
    source = build_mixture(data.real, data.good, procedural=share, freeze=chosen.freeze, quarter=not data.directed)
    plan = build_plan(parent, data, procedural=share, freeze=chosen.freeze)
    module, starts = _build_start(parent, plan, data, chosen)
    named = data.rename(names.changes)
    summary = summarize_learnt(named, names.apply(starts)) | {
        "frozen": chosen.freeze,
        "pictures": list_known_pictures(named, parent),
    }
    log_report(summary)
    real = {defect: [] if chosen.no_bank else examples for defect, examples in named.list_parts().items()}
    bank = build_mask_bank(real, data.good, exemplars=not chosen.no_exemplars)
    path = checkpoint.path if checkpoint else None
    numbers = chosen.model_dump(include={"batch_size", "learning_rate", "seed"}) | {"procedural": share}
    summary = {**numbers, **summary, "command": _format_command()}
    prepared = Preparation(chosen, device, path, names, data, named, parent, plan, source, module, bank, summary)
    prepared.export(appearances={}, summary={})
    return prepared


def _load_data(chosen: FitSettings, names: LearntNames) -> TrainingData:
    return load_training_data(
        normal=chosen.data,
        defect_dir=chosen.defect_dir,
        defect_mask_dir=chosen.defect_mask_dir,
        include=chosen.split,
        rename=names.trained,
        groups=chosen.groups,
        share=chosen.held_out,
        rotate=chosen.rotate,
        seed=chosen.seed,
        white_level=chosen.white_level,
    )


def _build_start(
    parent: StageBundle | None, plan: Plan, data: TrainingData, settings: FitSettings
) -> tuple[GradedDiffusion, dict[str, str]]:
    """Build what is trained, and say which known defect each new one starts from."""
    numbers = settings.model_dump(include={"learning_rate", "max_steps", "seed"})
    module = build_module(parent, plan, **numbers)
    if parent is None or data.real is None:
        return module, {}
    return module, warm_start(module, data.real, known=parent.defects, seed=settings.seed)


def _format_command() -> str:
    words = ["anomalib-stage", *sys.argv[1:]] if sys.argv[1:2] == ["fit"] else ["fit()"]
    return " ".join(words).encode(errors="backslashreplace").decode()  # paths may hold bytes that are not UTF-8
