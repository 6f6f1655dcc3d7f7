# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A pretrained text-to-image model to fit on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffusers import AutoencoderKL, UNet2DConditionModel

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.latent.text_encoder import encode_word, has_text_encoder

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Pretrained"]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model to fit on.

    Args:
        unet (UNet2DConditionModel): float32, frozen.
        vae (AutoencoderKL): float32, frozen.
        schedule (dict[str, Any]): Noise schedule.
        region_size (int): Side of a region that it was trained on, in pixels.
        origin (str): Where it comes from.
        context (Tensor | None): What the U-Net attends to at the caption "Anomaly", ``(N, D)``, where that is known
            without a tokenizer.
        place (Path | None): Folder of diffusers or single file, which may hold a text encoder.
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    schedule: dict[str, Any]
    region_size: int
    origin: str
    context: Tensor | None = None
    place: Path | None = None

    @property
    def inpainting(self) -> bool:
        """Whether the U-Net takes a mask and the surface around it."""
        return int(self.unet.config.in_channels) != int(self.vae.config.latent_channels)

    @property
    def has_text_encoder(self) -> bool:
        """Whether words can be encoded."""
        return self.place is not None and has_text_encoder(self.place)

    def encode_word(self, word: str) -> Tensor:
        """Encode a word with the model's own text encoder -> ``(N, D)`` float32.

        Raises:
            BundleError: If it has none, or it cannot be read.
            MissingPackageError: If transformers is not installed.
        """
        if not self.has_text_encoder or self.place is None:
            what = "text encoder here" if self.context is None else "folder tokenizer of bert-base-uncased beside it"
            msg = f"{self.origin}: no {what}, so it cannot start from the word {word!r}; leave words out"
            raise BundleError(msg)
        return encode_word(self.place, word)
