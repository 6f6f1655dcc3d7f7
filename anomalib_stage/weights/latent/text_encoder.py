# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Words that defects can start from, through a base's own text encoder. It runs once, before the fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage.errors import BundleError, MissingPackageError
from anomalib_stage.weights.latent.ldm_text import load_text_encoder
from anomalib_stage.weights.latent.pickles import read_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["encode_word", "has_text_encoder"]

CLIP, BERT = "text_encoder", "bert"
"""Folders of text encoders, as diffusers writes Stable Diffusion and text2img-large."""


def has_text_encoder(place: Path) -> bool:
    """Whether a folder of diffusers has a text encoder; for a single file, whether its tokenizer is beside it."""
    if place.is_file():
        return (place.parent / "tokenizer").is_dir()
    return any((place / name).is_dir() for name in (CLIP, BERT))


def encode_word(place: Path, word: str) -> Tensor:
    """Encode a word as the base was trained to see it.

    Args:
        place (Path): Folder of diffusers with ``tokenizer`` and ``text_encoder`` (CLIP) or ``bert`` (text2img-large);
            or the single file of text2img-large, the folder ``tokenizer`` (``vocab.txt`` of bert-base-uncased) beside
            it.
        word (str): A word, or several.

    Returns:
        Tensor: ``(N, D)`` float32.

    Raises:
        BundleError: If encoder or tokenizer cannot be read.
        MissingPackageError: If transformers is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        msg = 'starting from words needs transformers; install "anomalib-stage[hub]", or leave words out'
        raise MissingPackageError(msg) from error
    if place.is_file():
        encoder = load_text_encoder(read_checkpoint(place), path=place)
        tokenizer = _load_pretrained(transformers.BertTokenizer, place.parent / "tokenizer")
        return encoder.encode_tokens(_number_tokens(tokenizer, word, length=encoder.length))
    if (place / CLIP).is_dir():
        tokenizer = _load_pretrained(transformers.CLIPTokenizer, place / "tokenizer")
        return _encode_context(transformers.CLIPTextModel, place / CLIP, tokenizer, word)
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertModel

    tokenizer = _load_pretrained(transformers.BertTokenizer, place / "tokenizer")
    return _encode_context(LDMBertModel, place / BERT, tokenizer, word)


def _load_pretrained(cls: Any, folder: Path, **options: Any) -> Any:  # noqa: ANN401 - classes of transformers are untyped here
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn and overwritten at once
            return cls.from_pretrained(folder, local_files_only=True, **options)
    except Exception as error:  # transformers reports damage in many ways
        msg = f"{folder}: text encoder or tokenizer cannot be read ({error}); get it again, or leave words out"
        raise BundleError(msg) from error


def _number_tokens(tokenizer: Any, word: str, *, length: int) -> list[int]:  # noqa: ANN401
    tokens = tokenizer(word, padding="max_length", max_length=length, truncation=True)
    return list(tokens["input_ids"])


@torch.no_grad()
def _encode_context(cls: Any, folder: Path, tokenizer: Any, word: str) -> Tensor:  # noqa: ANN401
    encoder, found = _load_pretrained(cls, folder, use_safetensors=True, output_loading_info=True)
    if found["missing_keys"]:
        absent = sorted(found["missing_keys"])
        msg = f"{folder}: {len(absent)} weights missing, such as {absent[0]}; get it again, or leave words out"
        raise BundleError(msg)
    numbers = _number_tokens(tokenizer, word, length=encoder.config.max_position_embeddings)
    context: Tensor = encoder.float().eval()(torch.tensor([numbers]))[0][0]
    return context
