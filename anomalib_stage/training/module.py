# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lightning module that trains a compact denoiser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers.optimization import get_scheduler
from lightning.pytorch import LightningModule

from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.codec import PixelCodec
from anomalib_stage.synthesis.look import measure_looks, place_of, spread
from anomalib_stage.synthesis.sampling import Guidance
from anomalib_stage.synthesis.surround import surround_fill
from anomalib_stage.training.loss import graded_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
    from torch import Tensor

    from anomalib_stage.synthesis.denoiser import CompactDenoiser
    from anomalib_stage.synthesis.schedule import Schedule

__all__ = ["GradedDiffusion"]

ONLY_SHARE = 0.25
"""Share of the samples that train the anomaly-only branch."""

WARMUP_STEPS = 100


class GradedDiffusion(LightningModule):
    """Trains a compact denoiser with the graded loss.

    Time steps are stratified over the batch; they, the branches and the noise are functions of the samples' own seeds,
    so that a resumed run repeats the interrupted one to the bit.

    Args:
        denoiser (CompactDenoiser): The network, changed in place.
        schedule (Schedule): Noise schedule.
        kinds (Sequence[str]): Kinds in the order of the batches' ``kind`` indices.
        learning_rate (float): Peak learning rate of AdamW.
        max_steps (int | None): Length of the cosine decay; None keeps the rate constant after the warm-up.
    """

    def __init__(
        self,
        denoiser: CompactDenoiser,
        *,
        schedule: Schedule,
        kinds: Sequence[str],
        learning_rate: float,
        max_steps: int | None,
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.schedule = schedule
        self.kinds = list(kinds)
        self.codec = PixelCodec(round(denoiser.cells**0.5))
        self.learning_rate, self.max_steps = learning_rate, max_steps

    def guidance(self, batch: dict[str, Tensor]) -> Guidance:
        """Encode a batch of :class:`~anomalib_stage.training.data.RegionDataset`, with the looks of its anomalies."""
        latent, mask, surround = self._encoded(batch)
        looks = measure_looks(latent, mask, surround)
        conditions = torch.stack([self.denoiser.conditions[kind] for kind in self.kinds])
        surround = surround + mask * spread(looks[:, :3], like=latent)
        return Guidance(latent, mask, conditions[batch["kind"]], surround=surround, contrast=looks[:, 3])

    def looks(self, batch: dict[str, Tensor]) -> Tensor:
        """Places and looks of a batch's anomalies, ``(B, 9)`` (:data:`~anomalib_stage.synthesis.look.LOOK_COLUMNS`)."""
        latent, mask, surround = self._encoded(batch)
        return torch.cat([place_of(surround, mask), measure_looks(latent, mask, surround)], dim=1)

    def _encoded(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        latent, mask = self.codec.encode(batch["image"].float() / 255.0), self.codec.encode_mask(batch["mask"])
        return latent, mask, surround_fill(latent, mask)

    def losses(self, batch: dict[str, Tensor]) -> Tensor:
        """Graded loss of each sample, ``(B,)``; a function of the batch and the weights alone."""
        guidance = self.guidance(batch)
        streams = generators([int(seed) for seed in batch["seed"]], "loss")
        noise = standard_normal(guidance.clean.shape[1:], streams).to(guidance.clean.device)
        draws = torch.stack([torch.rand(2, generator=stream) for stream in streams])
        strata = torch.arange(len(draws)) / len(draws)
        t = ((strata + draws[0, 0]).remainder(1.0) * self.schedule.steps).long().clamp_max(self.schedule.steps - 1)
        aware = (draws[:, 1] >= ONLY_SHARE).float()
        device = guidance.clean.device
        return graded_loss(
            self.denoiser, guidance, schedule=self.schedule, t=t.to(device), noise=noise, aware=aware.to(device)
        )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the mean loss of a batch."""
        del batch_idx
        loss = self.losses(batch).mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["kind"]))
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with warm-up, then cosine decay where the number of steps is known."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
        scheduler = get_scheduler(
            "constant_with_warmup" if self.max_steps is None else "cosine",
            optimizer,
            num_warmup_steps=WARMUP_STEPS,
            num_training_steps=self.max_steps,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
