# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How a latent backbone is fitted. No torch here."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from anomalib_stage.settings import Settings
from anomalib_stage.weights.latent_manifest import AdapterSpec

__all__ = ["LatentFitSettings"]

Count = Annotated[int, Field(ge=1)]


class LatentFitSettings(Settings):
    """Everything that changes what :func:`~anomalib_stage.training.latent.fit.fit_latent` learns.

    Attributes:
        loss: ``graded``, or ``reference``: the published one (L1, anomaly-aware branch weighted 4, constant rate).
        adapter: Adapters to train.
        tokens: Condition vectors of each defect, where no text encoder gives their number.
        lora_rank: Rank of additions to the U-Net's attention, merged into it at the end; 0: none.
        regions: Regions to encode and learn from; None: 32 for each defect, at most 2,048.
        region_size: Their side in pixels; None: that of the model.
        max_steps: Steps in total; 2,000 if neither limit is given.
        max_time: Wall-clock limit ``HH:MM:SS``.
        batch_size: Regions in a step.
        learning_rate: Peak learning rate of AdamW; None: 1e-3, with the published loss 1.6e-2, what the published
            launch scripts come to.
        gradient_checkpointing: Compute activations twice to keep few of them.
        precision: How the bundle stores U-Net and autoencoder.
        seed: Base seed.
    """

    loss: Literal["graded", "reference"] = "graded"
    adapter: AdapterSpec = AdapterSpec(name="residual")
    tokens: Count = 8
    lora_rank: Annotated[int, Field(ge=0)] = 0
    regions: Count | None = None
    region_size: Count | None = None
    max_steps: Count | None = None
    max_time: Annotated[str, Field(pattern=r"^\d+:[0-5]?\d:[0-5]?\d$")] | None = None
    batch_size: Count = 4
    learning_rate: Annotated[float, Field(gt=0.0)] | None = None
    gradient_checkpointing: bool = True
    precision: Literal["fp32", "fp16", "bf16"] = "fp16"
    seed: int = 0

    @property
    def steps(self) -> int | None:
        """Steps in total; None: until the time is over."""
        return 2000 if self.max_steps is None and self.max_time is None else self.max_steps

    @property
    def limit(self) -> timedelta | None:
        """Wall-clock limit."""
        if self.max_time is None:
            return None
        hours, minutes, seconds = map(int, self.max_time.split(":"))
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)

    @property
    def rate(self) -> float:
        """Learning rate."""
        return self.learning_rate or {"graded": 1e-3, "reference": 1.6e-2}[self.loss]
