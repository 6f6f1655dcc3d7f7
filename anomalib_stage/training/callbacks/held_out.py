# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real defects kept from training: what they say of each defect, when to stop, and which weights to keep."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback
from torch.utils.data import default_collate

from anomalib_stage.seeds import derive_seed
from anomalib_stage.training.data.defect_names import RENDERED
from anomalib_stage.training.data.regions.dataset import RegionDataset
from anomalib_stage.training.data.regions.real_defects import RealDefects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from anomalib_stage.training.callbacks.ema import EMAWeights
    from anomalib_stage.training.data.regions.example import Example, Source
    from anomalib_stage.training.network.module import GradedDiffusion

__all__ = ["HeldOut", "build_held_out_batches"]

logger = logging.getLogger(__name__)

REGIONS = (24, 6)
"""Regions of the base side, and of twice the side, that are looked at for each defect."""


def build_held_out_batches(
    held_out: Sequence[Example], rendered: Source | None, *, defects: Sequence[str], side: int, seed: int
) -> dict[str, list[dict[str, Tensor]]]:
    """Draw the regions that are looked at, always the same.

    Args:
        held_out (Sequence[Example]): Real defects kept from training.
        rendered (Source | None): Source of rendered defects; None if they are not learnt.
        defects (Sequence[str]): Defects in the order of the denoiser's conditions.
        side (int): Base side of a region in pixels.
        seed (int): Base seed.

    Returns:
        dict[str, list[dict[str, Tensor]]]: Batches of ``RegionDataset`` for each defect, and for ``rendered``, last.
    """
    seed = derive_seed(seed, "held-out")
    sources: dict[str, Source] = {
        defect: RealDefects([example for example in held_out if example.defect == defect], plain=True)
        for defect in sorted({example.defect for example in held_out})
    }
    if rendered is not None:
        sources[RENDERED] = rendered
    batches = {}
    for name, source in sources.items():
        dataset = RegionDataset(source, defects=defects, seed=seed)
        keys = [[(i, factor * side) for i in range(count)] for factor, count in zip((1, 2), REGIONS, strict=True)]
        batches[name] = [default_collate([dataset[key] for key in some]) for some in keys]
    return batches


class HeldOut(Callback):
    """Measures the averaged weights on what was kept from training, keeps the best, and stops when they stay behind.

    The loss of a defect is the mean over its regions; what is compared is the mean over defects, each relative to its
    loss before training. The loss on rendered defects shows what is forgotten, and has no say. The state is part of the
    checkpoint, and checks are at fixed steps, so that a resumed run repeats the interrupted one.

    Args:
        batches (dict[str, list[dict[str, Tensor]]]): See :func:`build_held_out_batches`.
        averaged (EMAWeights): The averaged weights; this callback comes after it.
        every (int): Steps between checks.
        patience (int): Checks without a better loss after which training stops; 0: never.
    """

    def __init__(
        self, batches: dict[str, list[dict[str, Tensor]]], averaged: EMAWeights, *, every: int, patience: int
    ) -> None:
        self.batches, self.averaged, self.every, self.patience = batches, averaged, every, patience
        self.before: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.best_step, self.last_step, self.stale = 0, 0, 0
        self.weights: dict[str, Tensor] = {}

    @property
    def judged(self) -> bool:
        """Whether there are real defects to judge by; if not, the last weights are kept."""
        return any(name != RENDERED for name in self.batches)

    @property
    def stopped(self) -> bool:
        """Whether patience has run out."""
        return self.judged and 0 < self.patience <= self.stale

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure where training starts from; a resumed run may have stopped already."""
        if not self.before:
            self.before = self._measure(pl_module)  # type: ignore[arg-type]  # the module this callback is made for
        if self.stopped:
            trainer.should_stop = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:  # noqa: ANN401
        """Check every so many steps."""
        del args
        if trainer.global_step % self.every == 0:
            self._judge(trainer, pl_module)
            if self.stopped:
                logger.info("stopped at step %d: no better since step %d", trainer.global_step, self.best_step)
                trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish, while everything is still where it was trained."""
        if not trainer.interrupted:
            self.finish(trainer, pl_module)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check a last time, and put the best weights into the denoiser; once more does no harm.

        Call it after a training: Lightning leaves :meth:`on_train_end` out if a checkpoint has all the steps already.
        """
        if trainer.global_step > self.last_step:
            self._judge(trainer, pl_module)
        self.averaged.denoiser.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what was found, for the checkpoint."""
        names = ("before", "best", "best_step", "last_step", "stale", "weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it from a checkpoint."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def _judge(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with self.averaged.apply():
            found = self._measure(pl_module)  # type: ignore[arg-type]
        self.last_step = trainer.global_step
        if trainer.logger is not None:
            trainer.logger.log_metrics(
                {f"held_out/{defect}": loss for defect, loss in found.items()}, trainer.global_step
            )
        better = not self.best or self._compute_overall(found) < self._compute_overall(self.best)
        self.stale = 0 if better else self.stale + 1
        if better or not self.judged:
            self.best, self.best_step, self.weights = found, trainer.global_step, self.averaged.copy_state()

    def _compute_overall(self, losses: dict[str, float]) -> float:
        """Mean over the real defects, each relative to its loss before training; infinite if something failed."""
        ratios = [losses[name] / self.before[name] for name in losses if name != RENDERED]
        mean = sum(ratios) / max(len(ratios), 1)
        return mean if math.isfinite(mean) else math.inf

    @torch.no_grad()
    def _measure(self, module: GradedDiffusion) -> dict[str, float]:
        was_training = module.training
        module.eval()
        found = {}
        for name, batches in self.batches.items():
            losses = [
                module.compute_losses({key: v.to(module.device) for key, v in batch.items()}) for batch in batches
            ]
            found[name] = float(torch.cat(losses).mean())
        module.train(was_training)
        return found
