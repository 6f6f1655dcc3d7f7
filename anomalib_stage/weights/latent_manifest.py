# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the manifest of a latent bundle says about its parts. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from anomalib_stage.settings import Settings

__all__ = ["LORA", "NETWORKS", "AdapterSpec", "LatentCodecSpec", "LatentDenoiserSpec"]


NETWORKS = ("denoiser.", "codec.")

LORA = "lora."
"""Low-rank additions of a slim bundle, ``lora.<layer>.down`` and ``lora.<layer>.up``."""


class AdapterSpec(Settings):
    """The mask guidance adapters.

    Attributes:
        name: ``none``; ``published`` (replaces eps, batch norm, fixed widths) or ``residual`` (adds to it, group norm).
        widths: Channels of the 3x3 layers of a residual adapter.
        groups: Groups of its norms.
    """

    name: Literal["none", "published", "residual"]
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(max_length=16)] = (64, 256, 512, 256, 64)
    groups: Annotated[int, Field(ge=1, le=256)] = 8


class LatentDenoiserSpec(Settings):
    """Configuration ``denoiser`` of a latent bundle.

    Attributes:
        unet: Arguments of diffusers' ``UNet2DConditionModel``.
        adapter: The adapters.
    """

    unet: dict[str, Any]
    adapter: AdapterSpec


class LatentCodecSpec(Settings):
    """Configuration ``codec`` of a latent bundle.

    Attributes:
        name: ``autoencoder_kl``.
        vae: Arguments of diffusers' ``AutoencoderKL``; ``scaling_factor`` and ``shift_factor`` are among them.
        sample: Encode to a sample of the posterior, as published, in place of its mode.
    """

    name: Literal["autoencoder_kl"]
    vae: dict[str, Any]
    sample: bool = False
