# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop of a fit: Lightning's Trainer with what watches over it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    import torch
    from lightning.pytorch import Callback, LightningModule

    from anomalib_stage.training.data.regions.dataset import RegionDataset, StepBatches

__all__ = ["build_loader", "build_trainer", "run_trainer"]


WORKERS = 8
"""Most processes that draw examples for a GPU; on the CPU one is ahead of the training."""


def build_loader(
    dataset: RegionDataset, batches: StepBatches, device: torch.device
) -> DataLoader[dict[str, torch.Tensor]]:
    """Load batches in other processes; an item does not depend on which one draws it."""
    workers = 1 if device.type == "cpu" else max(1, min(WORKERS, (os.cpu_count() or 2) - 1))
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers, persistent_workers=True, prefetch_factor=4)


def build_trainer(
    folder: Path,
    device: torch.device,
    callbacks: Sequence[Callback],
    *,
    epoch_steps: int,
    max_steps: int | None,
    limit: timedelta | None,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
) -> Trainer:
    """Make the trainer, which writes a checkpoint after each epoch.

    Args:
        folder (Path): Checkpoints and logs.
        device (torch.device): Where to train.
        callbacks (Sequence[Callback]): What watches over it.
        epoch_steps (int): Steps between checkpoints.
        max_steps (int | None): Steps in total; None: no limit.
        limit (timedelta | None): Wall-clock limit.
        precision (Literal["32-true", "bf16-mixed"]): As Lightning names it.
    """
    on_terminal = sys.stderr.isatty()
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=precision,
        max_steps=-1 if max_steps is None else max_steps,
        max_epochs=-1,
        max_time=limit,
        default_root_dir=folder,
        logger=CSVLogger(folder, name="logs"),  # a resumed run gets a file of its own
        gradient_clip_val=1.0,
        log_every_n_steps=min(20, epoch_steps),
        enable_model_summary=False,
        enable_progress_bar=on_terminal,
        callbacks=[
            *callbacks,
            ModelCheckpoint(
                folder, filename="last", every_n_train_steps=epoch_steps, enable_version_counter=False, save_top_k=1
            ),
            *([RichProgressBar()] if on_terminal else []),
        ],
    )


def run_trainer(trainer: Trainer, module: LightningModule, loader: DataLoader[Any], *, checkpoint: Path | None) -> None:
    """Train; an interruption leaves as KeyboardInterrupt (Lightning turns it into an exit of the process)."""
    try:
        trainer.fit(module, loader, ckpt_path=checkpoint)
    except SystemExit as stop:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from stop
    if trainer.interrupted:
        raise KeyboardInterrupt
