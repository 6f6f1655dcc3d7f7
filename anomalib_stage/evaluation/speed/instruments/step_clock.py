# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks around a training step, as callbacks of Lightning."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback

from anomalib_stage.evaluation.speed.instruments.clock import now

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule, Trainer

    from anomalib_stage.plugin.callback.augment import StageAugment

__all__ = ["StartClock", "StepTimes", "StopClock"]


@dataclass
class StepTimes:
    """Milliseconds of training steps, the first of each fit left out.

    Args:
        without (list[float]): Steps without ``StageAugment``.
        stage (list[float]): Steps with it.
        painting (list[float]): What went into painting in those.
        painted (int): Images painted in them, anomalies and negatives.
    """

    without: list[float] = field(default_factory=list)
    stage: list[float] = field(default_factory=list)
    painting: list[float] = field(default_factory=list)
    painted: int = 0

    @property
    def share(self) -> float:
        """What painting adds, as a share of a step without it: the mean, as steps paint more or less."""
        return statistics.fmean(self.painting) / statistics.median(self.without)


class StartClock(Callback):
    """Starts the clock, before all other callbacks."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Have no checkpoint written; the engine's own callback for that cannot be left out."""
        del pl_module, stage  # Unused
        for callback in trainer.checkpoint_callbacks:
            callback.save_top_k, callback.save_last = 0, False  # type: ignore[attr-defined]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Take the time."""
        del trainer, pl_module, batch, batch_idx  # Unused
        self.seconds = now(self.device)


class StopClock(Callback):
    """Stops the clock, after all other callbacks and the optimizer."""

    def __init__(self, start: StartClock, times: StepTimes, augment: StageAugment | None) -> None:
        self.start, self.times, self.augment, self.painted = start, times, augment, 0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Enter the step into the books, unless it was the first of the fit."""
        del pl_module, outputs, batch  # Unused
        step = (now(self.start.device) - self.start.seconds) * 1000.0
        if self.augment is None:
            self.times.without += [step] if batch_idx else []
            return
        before, self.painted = self.painted, self.augment.counts["anomalies"] + self.augment.counts["negatives"]
        if batch_idx:
            self.times.stage.append(step)
            self.times.painting.append(float(trainer.callback_metrics["stage/time_share"]) * step)
            self.times.painted += self.painted - before
