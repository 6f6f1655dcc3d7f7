# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Convert what the published code trains into a bundle: learned vectors and two adapters, on their base model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from anomalib_stage.errors import BundleError
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.weights.defect_name import explain_names
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.latent.bundle import build_latent_bundle
from anomalib_stage.weights.latent.ldm import load_ldm_parts
from anomalib_stage.weights.latent.ldm_text import load_text_encoder
from anomalib_stage.weights.latent.pickles import read_checkpoint
from anomalib_stage.weights.latent.published import (
    ADAPTERS,
    EMBEDDINGS,
    find_published_step,
    read_adapter_state,
    read_learned_vectors,
)
from anomalib_stage.weights.latent_manifest import AdapterSpec
from anomalib_stage.weights.manifest import DefectSpec
from anomalib_stage.weights.manifest_file import list_complaints

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["convert"]


SHAPES = ("blob", "scratch", "spots", "perlin")
"""Mask shapes to draw from; the published code always takes real masks."""


def convert(
    published: Path,
    ldm: Path,
    *,
    step: int | None = None,
    defects: Sequence[str] | None = None,
    config: Path | None = None,
    dtype: torch.dtype = torch.float16,
    base: Path | None = None,
) -> StageBundle:
    """Make a bundle of published artefacts.

    Args:
        published (Path): Folder with ``embeddings_gs-N.pt``, ``fine_mask-N.pt`` and ``fine_image-N.pt`` of a training.
        ldm (Path): Checkpoint of the base that they were trained on, text2img-large (``model.ckpt``).
        step (int | None): N; None where there is one alone.
        defects (Sequence[str] | None): Names to keep, as in the embeddings; None: those that were trained.
        config (Path | None): Original YAML of the base, where it is another one.
        dtype (torch.dtype): How the base is stored.
        base (Path | None): Folder that gets the base, for a slim bundle; None: the base is in the bundle.

    Returns:
        StageBundle: The bundle, not saved yet.

    Raises:
        BundleError: If a file is missing, damaged or a pickled module, or holds an unknown name or lacks one.
    """
    number = find_published_step(published, step)
    vectors = read_learned_vectors(published / f"{EMBEDDINGS}-{number}.pt", defects=defects)
    if wrong := explain_names(vectors):
        msg = f"{published}: {wrong}: choose others with --defects"
        raise BundleError(msg)
    adapters = {}
    for branch, name in ADAPTERS.items():
        path = published / f"{name}-{number}.pt"
        adapters[branch] = MaskGuidanceAdapter()
        adapters[branch].load_state_dict(read_adapter_state(read_checkpoint(path), path=path))
    weights = read_checkpoint(ldm)
    unet, vae, schedule, side = load_ldm_parts(weights, path=ldm, config=config)
    encoder = load_text_encoder(weights, path=ldm)
    width = encoder.token_emb.embedding_dim
    narrow = [f"{name} {list(vector.shape)}" for name, vector in vectors.items() if vector.shape[1] != width]
    if narrow:
        msg = (
            f"{published}: vectors {shorten(narrow)}, but the text encoder of {ldm} has width {width}; give their base"
        )
        raise BundleError(msg)
    conditions = {name: encoder.encode_caption(vector) for name, vector in vectors.items()}
    return build_latent_bundle(
        LatentDenoiser(unet, conditions=conditions, aware=adapters["aware"], only=adapters["only"]),
        vae,
        adapter=AdapterSpec(name="published"),
        defects=_name_defects(conditions, published),
        schedule=schedule,
        region_size=side,
        dtype=dtype,
        sample=True,
        base=base,
        training={"source": "converted from artefacts of the published code", "steps": number, "pretrained": ldm.name},
    )


def _name_defects(names: Iterable[str], published: Path) -> list[DefectSpec]:
    try:
        return [DefectSpec(name=name, shapes=SHAPES) for name in names]
    except ValidationError as error:
        msg = f"{published}: a name in the embeddings cannot be a defect's ({list_complaints(error)})"
        raise BundleError(msg) from error
