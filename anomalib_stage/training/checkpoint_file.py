# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that a kill, a full disk or a power cut cannot take away: there is always a whole one."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from anomalib_stage.errors import DataError
from anomalib_stage.files.atomic import replace_whole

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["LAST", "PREVIOUS", "DurableCheckpoints", "KeepLastStep"]

logger = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
"""The checkpoint that a training goes on from, and the one before it."""


class DurableCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the last one, waits until it is on the disk, and keeps the last one as the previous.

    Lightning writes to the folder for temporary files and copies from there, which a kill can cut short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ANN401
        """Write a checkpoint whole or not at all.

        Raises:
            DataError: If it cannot be written; the last one is then untouched.
        """
        del storage_options
        target, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            with replace_whole(target, durable=True) as partial:
                with partial.open("wb") as stream:
                    stream.write(buffer.getbuffer())
                    stream.flush()
                    os.fsync(stream.fileno())
                if target.is_file():
                    target.replace(target.with_name(PREVIOUS))
        except OSError as error:
            kept = any((target.with_name(name)).is_file() for name in (LAST, PREVIOUS))
            advice = "run the same command again with --resume" if kept else "run the same command again"
            msg = (
                f"{target}: the checkpoint cannot be written ({error.strerror or error}); "
                f"{'the one before is whole: ' if kept else ''}make room in its folder and {advice}"
            )
            raise DataError(msg) from error

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002
        """Read a checkpoint to the CPU, without executing anything in it."""
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return content


class KeepLastStep(Callback):
    """Writes a checkpoint of the last step too, so that nothing is learnt again if what comes after it fails.

    It comes before callbacks that put other weights into the network at the end.

    Args:
        folder (Path): Folder of checkpoints.
        every (int): Steps after which there is one anyway.
    """

    def __init__(self, folder: Path, *, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it; a disk that has no room for it may still have room for the bundle."""
        del pl_module
        if trainer.interrupted or trainer.global_step % self.every == 0:
            return
        try:
            trainer.save_checkpoint(self.folder / LAST)
        except DataError as error:
            logger.warning("%s", error)
