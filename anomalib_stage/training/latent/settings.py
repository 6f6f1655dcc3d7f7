# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How a latent backbone is fitted. No torch here."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator

from anomalib_stage.settings import Settings
from anomalib_stage.training.settings import MOST_REGIONS, check_duration, parse_duration
from anomalib_stage.weights.latent_manifest import AdapterSpec

__all__ = ["LatentFitSettings"]

Count = Annotated[int, Field(ge=1)]


class LatentFitSettings(Settings):
    """Everything that changes what :func:`~anomalib_stage.training.latent.fit.fit_latent` learns, field by field."""

    loss: Literal["graded", "reference"] = Field(
        "graded",
        description='"graded", or "reference", the published one: L1, anomaly-aware branch weighted 4, constant rate.',
    )
    adapter: AdapterSpec = Field(
        AdapterSpec(name="residual"), description='Adapters to train: "residual", "published" or "none".'
    )
    tokens: Count = Field(8, description="Condition vectors of each defect, where no text encoder gives their number.")
    lora_rank: int = Field(
        0, ge=0, le=1024, description="Rank of additions to the U-Net's attention, merged into it at the end; 0: none."
    )
    regions: Count | None = Field(
        None, le=1_000_000, description="Regions to encode and learn from; None: 32 for each defect, at most 2048."
    )
    region_size: Count | None = Field(None, description="Their side in pixels; None: that of the model.")
    max_steps: int | None = Field(None, ge=1, description="Steps in total; 2000 if neither limit is given.")
    max_time: str | None = Field(None, description="Wall-clock limit HH:MM:SS.")
    batch_size: int = Field(4, ge=1, le=MOST_REGIONS, description="Regions in a step.")
    learning_rate: float | None = Field(
        None,
        gt=0.0,
        allow_inf_nan=False,
        description="Peak learning rate of AdamW; if not given 1e-3, with the published loss 1.6e-2, what its authors' "
        "scripts come to.",
    )
    gradient_checkpointing: bool = Field(default=True, description="Compute activations twice to keep few of them.")
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp16", description="How the bundle stores U-Net and autoencoder."
    )
    seed: int = Field(0, description="Base seed.")

    @field_validator("adapter", mode="before")
    @classmethod
    def _is_named(cls, adapter: object) -> object:
        return {"name": adapter} if isinstance(adapter, str) else adapter

    @field_validator("max_time")
    @classmethod
    def _is_a_time(cls, text: str | None) -> str | None:
        return text if text is None else check_duration(text)

    @property
    def steps(self) -> int | None:
        """Steps in total; None: until the time is over."""
        return 2000 if self.max_steps is None and self.max_time is None else self.max_steps

    @property
    def limit(self) -> timedelta | None:
        """Wall-clock limit."""
        return None if self.max_time is None else parse_duration(self.max_time)

    @property
    def rate(self) -> float:
        """Learning rate."""
        return self.learning_rate or {"graded": 1e-3, "reference": 1.6e-2}[self.loss]
