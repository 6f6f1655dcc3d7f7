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

from anomalib_stage.errors import DataError, Terminated
from anomalib_stage.training.checkpoint_file import LAST, DurableCheckpoints, KeepLastStep
from anomalib_stage.training.interruption import is_out_of_memory

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
    """Make the trainer, which writes a checkpoint after each epoch and at the end.

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
        plugins=[DurableCheckpoints()],
        callbacks=[
            KeepLastStep(folder, every=epoch_steps),
            *callbacks,
            ModelCheckpoint(
                folder,
                filename=LAST.partition(".")[0],
                every_n_train_steps=epoch_steps,
                enable_version_counter=False,
                save_top_k=1,
            ),
            *([RichProgressBar()] if on_terminal else []),
        ],
    )


def run_trainer(trainer: Trainer, module: LightningModule, loader: DataLoader[Any], *, checkpoint: Path | None) -> None:
    """Train.

    Raises:
        KeyboardInterrupt: After an interruption, which Lightning turns into an exit of the process; after SIGTERM
            :class:`~anomalib_stage.errors.Terminated`.
        DataError: If memory is short, or a checkpoint cannot be written or is of another network.
    """
    try:
        trainer.fit(module, loader, ckpt_path=checkpoint)
    except SystemExit as stop:
        if not trainer.interrupted:
            raise
        raise _find_interruption(trainer, stop) from stop
    except (RuntimeError, MemoryError) as error:
        _explain(error, checkpoint)
        raise
    if trainer.interrupted:
        raise _find_interruption(trainer, None)


def _find_interruption(trainer: Trainer, stop: SystemExit | None) -> KeyboardInterrupt:
    """Return what interrupted a training; Lightning has an exit of its own for SIGTERM, and hides other ones."""
    cause = stop.__context__ if stop is not None else None
    if isinstance(cause, KeyboardInterrupt):
        return type(cause)(*cause.args)
    return Terminated() if trainer.received_sigterm else KeyboardInterrupt()


def _explain(error: RuntimeError | MemoryError, checkpoint: Path | None) -> None:
    first = (str(error) or type(error).__name__).splitlines()[0]
    if is_out_of_memory(error) or "DataLoader worker" in str(error):
        msg = f"the training stopped, most likely for want of memory ({first}); give a smaller --batch-size"
        raise DataError(msg) from error
    if checkpoint is not None and "loading state_dict" in str(error):
        msg = f"--resume: {checkpoint} is of another network ({first}); leave the flag out to start anew"
        raise DataError(msg) from error
