# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""All that watches over a training, in the order in which it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from anomalib_stage.training.callbacks.ema import EMAWeights
from anomalib_stage.training.callbacks.held_out import HeldOut, build_held_out_batches
from anomalib_stage.training.callbacks.sample_sheet import SampleSheet, build_sheet_batches
from anomalib_stage.training.data.regions.dataset import REGION_SIDE
from anomalib_stage.training.data.regions.rendered import ProceduralDefects

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib_stage.training.data.regions.example import Source
    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.training.network.module import GradedDiffusion

__all__ = ["Callbacks", "build_callbacks"]


class Callbacks(NamedTuple):
    """Callbacks, in the order in which they must be called."""

    averaged: EMAWeights
    judge: HeldOut
    sheet: SampleSheet


def build_callbacks(
    training_data: TrainingData,
    source: Source,
    module: GradedDiffusion,
    *,
    rendered: bool,
    seed: int,
    check_steps: int,
    patience: int,
    sheets: Path,
    sheet_minutes: float,
) -> Callbacks:
    """Make what watches over a training: averaged weights, the judge of held-out defects, and sample sheets.

    Args:
        training_data (TrainingData): The user's pictures.
        source (Source): Source of training regions.
        module (GradedDiffusion): The module that is trained.
        rendered (bool): Whether rendered defects are learnt.
        seed (int): Base seed.
        check_steps (int): Steps between checks of the defects held out.
        patience (int): Checks without a better loss after which training stops; 0: never.
        sheets (Path): Folder of sample sheets.
        sheet_minutes (float): Minutes between them.
    """
    averaged, defects = EMAWeights(module.denoiser), module.defects
    own = training_data.real.defects if training_data.real else ()
    known = ProceduralDefects(without=own) if rendered else None
    looked_at = build_held_out_batches(training_data.held_out, known, defects=defects, side=REGION_SIDE, seed=seed)
    shown = build_sheet_batches(training_data.shown, source, defects=defects, side=REGION_SIDE, seed=seed)
    return Callbacks(
        averaged,
        HeldOut(looked_at, averaged, every=check_steps, patience=patience),
        SampleSheet(sheets, shown, averaged, minutes=sheet_minutes),
    )
