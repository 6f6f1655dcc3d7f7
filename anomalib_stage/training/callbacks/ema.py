# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Averaged weights of the denoiser while it learns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from diffusers.training_utils import EMAModel
from lightning.pytorch import Callback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser

__all__ = ["EMAWeights"]

DECAY = 0.999
"""Largest decay; until then the average covers about the last ninth of the steps, so that short fits do not lag."""


class EMAWeights(Callback):
    """Keeps a moving average of the denoiser's weights; it is part of the checkpoint.

    Args:
        denoiser (CompactDenoiser): The network that learns.
    """

    state_key = "AveragedWeights"
    """Under this name checkpoints hold it."""

    def __init__(self, denoiser: CompactDenoiser) -> None:
        self.denoiser = denoiser
        self.average = EMAModel(denoiser.parameters(), decay=DECAY, foreach=True)

    @contextmanager
    def apply(self) -> Iterator[None]:
        """Put the averaged weights into the denoiser for a while."""
        self.average.store(self.denoiser.parameters())
        self.average.copy_to(self.denoiser.parameters())
        try:
            yield
        finally:
            self.average.restore(self.denoiser.parameters())

    def copy_state(self) -> dict[str, Tensor]:
        """Copy the averaged weights, on the CPU, under the denoiser's names."""
        names = [name for name, _ in self.denoiser.named_parameters()]
        return {name: value.cpu().clone() for name, value in zip(names, self.average.shadow_params, strict=True)}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the average to where the network is."""
        del trainer
        self.average.to(pl_module.device)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:  # noqa: ANN401
        """Add the step's weights."""
        del trainer, pl_module, args
        self.average.step(self.denoiser.parameters())

    def state_dict(self) -> dict[str, Any]:
        """Return the average for the checkpoint."""
        return dict(self.average.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the average from a checkpoint."""
        self.average.load_state_dict(state_dict)
