# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What StageAugment adds to a training step: real models, real engine, with and without it."""

from __future__ import annotations

import logging
import statistics
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from anomalib.engine import Engine
from anomalib.models import Draem, Supersimplenet
from lightning.pytorch import Callback

from anomalib_stage.evaluation.speed.clock import now
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.data.demo import StageDemo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anomalib.models.components import AnomalibModule
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["MODELS", "StepTimes", "time_steps"]

QUIET: dict[str, Any] = {"evaluator": False, "visualizer": False}


def _draem(folder: Path, size: int) -> AnomalibModule:
    (folder / "dtd").mkdir(exist_ok=True)  # empty: its own generator fills with noise
    return Draem(dtd_dir=folder / "dtd", pre_processor=Draem.configure_pre_processor((size, size)), **QUIET)


def _supersimplenet(folder: Path, size: int) -> AnomalibModule:
    del folder  # Unused
    # the backbone that it has by default, with random weights: they take the same time and need no download
    backbone, pre = torchvision.models.wide_resnet50_2(weights=None), Supersimplenet.configure_pre_processor
    return Supersimplenet(backbone=backbone, supervised=True, pre_processor=pre((size, size)), **QUIET)


MODELS: dict[str, Callable[[Path, int], AnomalibModule]] = {"Draem": _draem, "Supersimplenet": _supersimplenet}
"""Models whose steps are timed: one takes anomalies from a generator of its own, the other reads masks and labels."""


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


class _Start(Callback):
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


class _Stop(Callback):
    """Stops the clock, after all other callbacks and the optimizer."""

    def __init__(self, start: _Start, times: StepTimes, augment: StageAugment | None) -> None:
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


def time_steps(
    name: str, *, device: torch.device, weights: str, size: int, batch_size: int, steps: int, rounds: int
) -> StepTimes:
    """Train a model for a few steps, with and without ``StageAugment`` by turns, in float32.

    Args:
        name (str): One of :data:`MODELS`.
        device (torch.device): Where to train.
        weights (str): Bundle to paint with.
        size (int): Side of the images in pixels.
        batch_size (int): Images in a batch.
        steps (int): Steps to time in each fit, after one that warms up.
        rounds (int): Fits of each defect.

    Returns:
        StepTimes: Their times.
    """
    times = StepTimes()
    with tempfile.TemporaryDirectory() as scratch, torch.random.fork_rng(), _silence():
        for turn in range(rounds):
            for augment in (None, StageAugment(weights, seed=turn, preview=False)):
                torch.manual_seed(turn)
                data = StageDemo(
                    image_size=size,
                    train_count=(steps + 1) * batch_size,
                    test_count=2,
                    root=Path(scratch) / "demo",
                    train_batch_size=batch_size,
                )
                engine = _engine(device, times, augment, steps=steps + 1, folder=Path(scratch) / "runs")
                engine.fit(MODELS[name](Path(scratch), size), datamodule=data)
    return times


def _engine(
    device: torch.device, times: StepTimes, augment: StageAugment | None, *, steps: int, folder: Path
) -> Engine:
    start = _Start(device)
    cuda = device.type == "cuda"
    return Engine(
        callbacks=[start, *([] if augment is None else [augment]), _Stop(start, times, augment)],
        accelerator="gpu" if cuda else "cpu",
        devices=[device.index or 0] if cuda else 1,
        max_steps=steps,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Leave out what the host says of every fit."""
    level = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
