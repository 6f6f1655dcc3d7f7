# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a fit of a latent backbone starts: condition vectors and adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.seeds import derive_seed
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.weights.latent.networks import build_adapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from anomalib_stage.training.latent.settings import LatentFitSettings
    from anomalib_stage.weights.latent.pretrained_model import Pretrained

__all__ = ["build_denoiser", "choose_start_vectors"]


def choose_start_vectors(
    model: Pretrained, defects: Sequence[str], *, words: Mapping[str, str], tokens: int, seed: int
) -> dict[str, Tensor]:
    """Choose what each defect's condition vectors start from.

    A defect with a word starts from what the model's text encoder says of it; the others from the mean of those, or
    from the caption "Anomaly" where the model knows it; without either, from standard normal numbers.

    Args:
        model (Pretrained): The model.
        defects (Sequence[str]): Defects.
        words (Mapping[str, str]): Words of some defects.
        tokens (int): Vectors of a defect, where nothing else gives their number.
        seed (int): Base seed of the numbers.

    Returns:
        dict[str, Tensor]: ``(N, D)`` float32 for each defect.

    Raises:
        InputError: If a word is for an unknown defect.
        BundleError: If there is no text encoder for the words.
        MissingPackageError: If the text encoder cannot run here.
    """
    unknown = sorted(set(words) - set(defects))
    if unknown:
        msg = f"--words names {unknown[0]!r}; the defects are {', '.join(defects)}"
        raise InputError(msg)
    known = {defect: model.encode_word(word) for defect, word in words.items()}
    usual = torch.stack(list(known.values())).mean(dim=0) if known else model.context
    width = int(model.unet.config.cross_attention_dim)
    vectors = {}
    for defect in defects:
        stream = torch.Generator().manual_seed(derive_seed(seed, "vectors", defect))
        drawn = torch.randn(tokens, width, generator=stream) if usual is None else usual
        vectors[defect] = known.get(defect, drawn).clone()
    return vectors


def build_denoiser(
    model: Pretrained, defects: Sequence[str], *, words: Mapping[str, str], settings: LatentFitSettings
) -> LatentDenoiser:
    """Build what is trained: the frozen U-Net, condition vectors, and adapters with weights drawn from the seed."""
    channels = int(model.vae.config.latent_channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(settings.seed, "adapters"))
        aware, only = (build_adapter(settings.adapter, channels=channels) for _ in range(2))
    return LatentDenoiser(
        model.unet,
        conditions=choose_start_vectors(model, defects, words=words, tokens=settings.tokens, seed=settings.seed),
        aware=aware,
        only=only,
        inpainting=model.inpainting,
    )
