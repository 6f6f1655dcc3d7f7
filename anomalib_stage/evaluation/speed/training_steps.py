# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What StageAugment adds to a training step: real models, real engine, with and without it."""

from __future__ import annotations

import logging
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from anomalib.engine import Engine
from anomalib.models import Draem, Supersimplenet

from anomalib_stage.evaluation.speed.instruments.step_clock import StartClock, StepTimes, StopClock
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.data.demo import StageDemo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anomalib.models.components import AnomalibModule

__all__ = ["MODELS", "time_steps"]

QUIET: dict[str, Any] = {"evaluator": False, "visualizer": False}


def _build_draem(folder: Path, size: int) -> AnomalibModule:
    (folder / "dtd").mkdir(exist_ok=True)  # empty: its own generator fills with noise
    return Draem(dtd_dir=folder / "dtd", pre_processor=Draem.configure_pre_processor((size, size)), **QUIET)


def _build_supersimplenet(folder: Path, size: int) -> AnomalibModule:
    del folder  # Unused
    # the backbone that it has by default, with random weights: they take the same time and need no download
    backbone, pre = torchvision.models.wide_resnet50_2(weights=None), Supersimplenet.configure_pre_processor
    return Supersimplenet(backbone=backbone, supervised=True, pre_processor=pre((size, size)), **QUIET)


MODELS: dict[str, Callable[[Path, int], AnomalibModule]] = {
    "Draem": _build_draem,
    "Supersimplenet": _build_supersimplenet,
}
"""Models whose steps are timed: one takes anomalies from a generator of its own, the other reads masks and labels."""


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
        rounds (int): Fits with it, and without it.

    Returns:
        StepTimes: Their times.
    """
    times = StepTimes()
    with tempfile.TemporaryDirectory() as scratch, torch.random.fork_rng(), _silence():
        for turn in range(rounds):
            for augment in (None, StageAugment(weights=weights, seed=turn, preview=False)):
                torch.manual_seed(turn)
                data = StageDemo(
                    image_size=size,
                    train_count=(steps + 1) * batch_size,
                    test_count=2,
                    root=Path(scratch) / "demo",
                    train_batch_size=batch_size,
                )
                engine = _build_engine(device, times, augment, steps=steps + 1, folder=Path(scratch) / "runs")
                engine.fit(MODELS[name](Path(scratch), size), datamodule=data)
    return times


def _build_engine(
    device: torch.device, times: StepTimes, augment: StageAugment | None, *, steps: int, folder: Path
) -> Engine:
    start = StartClock(device)
    cuda = device.type == "cuda"
    return Engine(
        callbacks=[start, *([] if augment is None else [augment]), StopClock(start, times, augment)],
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
