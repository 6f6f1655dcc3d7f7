# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lightning module that fits condition vectors and adapters to a frozen latent backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule

from anomalib_stage.seeds import derive_seed, generators, numpy_generator, standard_normal
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.training.network.learning_rate import compute_latent_rate
from anomalib_stage.training.network.loss import compute_graded_loss, compute_reference_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
    from anomalib_stage.synthesis.diffusion.schedule import Schedule
    from anomalib_stage.training.latent.encoded_regions import LatentRegions
    from anomalib_stage.training.latent.settings import LatentFitSettings

__all__ = ["LatentFit"]

ONLY_SHARE = 0.25
"""Share of the samples that train the anomaly-only branch, with the graded loss."""

WARMUP_STEPS = 50
FROZEN = "denoiser.unet."
LORA = ".lora_"


class LatentFit(LightningModule):
    """Trains what of a latent denoiser asks for gradients.

    Every batch, its time steps, branches and noise are functions of the seed and the step, so that a resumed run goes
    on as if it had not stopped. Checkpoints leave the frozen U-Net out.

    Args:
        denoiser (LatentDenoiser): U-Net (frozen, or with low-rank additions), vectors and adapters; changed in place.
        regions (LatentRegions): What to learn.
        defects (Sequence[str]): Defects in the order of the regions' positions.
        schedule (Schedule): Noise schedule.
        settings (LatentFitSettings): Loss, batch, learning rate, seed; a known number of steps gives the graded loss
            a cosine decay.
    """

    def __init__(
        self,
        denoiser: LatentDenoiser,
        regions: LatentRegions,
        *,
        defects: Sequence[str],
        schedule: Schedule,
        settings: LatentFitSettings,
    ) -> None:
        super().__init__()
        self.strict_loading = False
        self.denoiser, self.regions, self.schedule, self.settings = denoiser, regions, schedule, settings
        self.defects = list(defects)

    def compute_loss(self, step: int) -> Tensor:
        """Loss of a step's batch; a function of the step and the weights."""
        size, seed = self.settings.batch_size, self.settings.seed
        rng = numpy_generator(seed, "batch", step)
        rows = torch.from_numpy(rng.integers(len(self.regions), size=size))
        streams = generators([derive_seed(seed, "noise", step, i) for i in range(size)])
        noise, noise_only = (standard_normal(self.regions.clean.shape[1:], streams).to(self.device) for _ in range(2))
        strata = (torch.arange(size) + float(rng.random())) / size
        t = (strata * self.schedule.steps).long().clamp_max(self.schedule.steps - 1).to(self.device)
        conditioning = self._build_conditioning(rows)
        if self.settings.loss == "reference":
            return compute_reference_loss(
                self.denoiser, conditioning, schedule=self.schedule, t=t, noise=noise, noise_only=noise_only
            )
        aware = torch.from_numpy(rng.random(size) >= ONLY_SHARE).float().to(self.device)
        return compute_graded_loss(
            self.denoiser, conditioning, schedule=self.schedule, t=t, noise=noise, aware=aware
        ).mean()

    def _build_conditioning(self, rows: Tensor) -> Conditioning:
        regions = self.regions
        conditions = self.denoiser.conditions.select(self.defects)
        surround = regions.surround[rows].to(self.device) if regions.surround.shape[1] else None
        return Conditioning(
            regions.clean[rows].to(self.device),
            regions.mask[rows].float().to(self.device),
            conditions[regions.defect[rows].to(self.device)],
            filled=surround,
        )

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Return the loss of the step; the loader only counts."""
        del batch, batch_idx
        loss = self.compute_loss(self.global_step)
        self.log("train/loss", loss, prog_bar=True, batch_size=self.settings.batch_size)
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen weights out."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith(FROZEN) or LORA in k}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW: as published for the published loss, else with warm-up and, where the end is known, cosine decay."""
        wanted = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(wanted, lr=self.settings.rate, weight_decay=0.01)
        steps = self.settings.steps
        rise = min(WARMUP_STEPS, (steps or 10**9) // 10) if self.settings.loss == "graded" else 0
        last = steps if self.settings.loss == "graded" else None
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: compute_latent_rate(step, rise=rise, last=last)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
