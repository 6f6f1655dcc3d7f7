# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lightning module that trains a compact denoiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Timer

from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.appearance.appearance import compute_context, measure_appearance, spread
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.training.network.learning_rate import compute_fit_rate
from anomalib_stage.training.network.loss import compute_graded_loss

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
    from anomalib_stage.synthesis.diffusion.schedule import Schedule

__all__ = ["GradedDiffusion"]

ONLY_SHARE = 0.25
"""Share of the samples that train the anomaly-only branch."""

FRESH_RATE = 10.0
"""Condition vectors of new defects learn so many times faster: they start anew, the network does not."""


class GradedDiffusion(LightningModule):
    """Trains a compact denoiser with the graded loss.

    Time steps are stratified over the batch; they, the branches and the noise are functions of the samples' own seeds,
    so that a resumed run repeats the interrupted one to the bit.

    Args:
        denoiser (CompactDenoiser): The network, changed in place.
        schedule (Schedule): Noise schedule.
        defects (Sequence[str]): Defects in the order of the batches' ``defect`` indices.
        learning_rate (float): Peak learning rate of AdamW.
        max_steps (int | None): Length of the cosine decay. Where the trainer has a time limit, the rate decays over
            that, or over whichever ends first.
        fresh (Collection[str]): Defects whose condition vectors learn faster.
    """

    def __init__(
        self,
        denoiser: CompactDenoiser,
        *,
        schedule: Schedule,
        defects: Sequence[str],
        learning_rate: float,
        max_steps: int | None,
        fresh: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.schedule = schedule
        self.defects = list(defects)
        self.codec = PixelCodec(round(denoiser.cells**0.5))
        self.learning_rate, self.max_steps, self.fresh = learning_rate, max_steps, frozenset(fresh)

    def build_conditioning(self, batch: dict[str, Tensor]) -> Conditioning:
        """Encode a batch of ``RegionDataset``, with the appearances of its anomalies."""
        latent, mask, filled = self._encode(batch)
        appearances = measure_appearance(latent, mask, filled)
        conditions = self.denoiser.conditions.select(self.defects)
        filled = filled + mask * spread(appearances[:, :3], like=latent)
        return Conditioning(latent, mask, conditions[batch["kind"]], filled=filled, contrast=appearances[:, 3])

    def measure_appearances(self, batch: dict[str, Tensor]) -> Tensor:
        """Contexts and appearances of a batch's anomalies, ``(B, 9)``, columns as in ``APPEARANCE_COLUMNS``."""
        latent, mask, filled = self._encode(batch)
        return torch.cat([compute_context(filled, mask), measure_appearance(latent, mask, filled)], dim=1)

    def _encode(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        latent, mask = self.codec.encode(batch["image"].float() / 255.0), self.codec.encode_mask(batch["mask"])
        return latent, mask, fill_hole(latent, mask)

    def compute_losses(self, batch: dict[str, Tensor]) -> Tensor:
        """Graded loss of each sample, ``(B,)``; a function of the batch and the weights alone."""
        conditioning = self.build_conditioning(batch)
        streams = generators([int(seed) for seed in batch["seed"]], "loss")
        noise = standard_normal(conditioning.clean.shape[1:], streams).to(conditioning.clean.device)
        draws = torch.stack([torch.rand(2, generator=stream) for stream in streams])
        strata = torch.arange(len(draws)) / len(draws)
        t = ((strata + draws[0, 0]).remainder(1.0) * self.schedule.steps).long().clamp_max(self.schedule.steps - 1)
        aware = (draws[:, 1] >= ONLY_SHARE).float()
        device = conditioning.clean.device
        return compute_graded_loss(
            self.denoiser, conditioning, schedule=self.schedule, t=t.to(device), noise=noise, aware=aware.to(device)
        )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the mean loss of a batch."""
        del batch_idx
        loss = self.compute_losses(batch).mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["kind"]))
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW over what may change, with warm-up and cosine decay; a group of its own for fresh condition vectors."""
        fresh = [self.denoiser.conditions[defect] for defect in sorted(self.fresh)]
        others = [p for p in self.parameters() if p.requires_grad and all(p is not vector for vector in fresh)]
        groups: list[dict[str, Any]] = [{"params": others}] if others else []
        if fresh:
            groups.append({"params": fresh, "lr": FRESH_RATE * self.learning_rate, "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: compute_fit_rate(step, self._compute_progress(step))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _compute_progress(self, step: int) -> float:
        """Share of the training that is over, by steps or by time; a resumed training counts its time before."""
        share = step / self.max_steps if self.max_steps else 0.0
        timers = [callback for callback in self.trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
        for timer in timers:
            elapsed, left = timer.time_elapsed(), timer.time_remaining()
            if left is not None:
                share = max(share, elapsed / max(elapsed + left, 1e-9))
        return min(share, 1.0)
