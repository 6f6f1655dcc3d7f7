# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Latents to fit a latent backbone on: regions encoded once, kept on disk."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from anomalib_stage.files.atomic import replace_whole
from anomalib_stage.pipeline.latent_backbone import GREY
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.training.latent.encoded_regions import LatentRegions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.latent_codec import LatentCodec
    from anomalib_stage.training.data.regions.example import Example, Source
    from anomalib_stage.training.latent.encoded_regions import RegionPlan

__all__ = ["compute_fingerprint", "load_cached_regions"]

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""Regions encoded together."""


def compute_fingerprint(
    vae_state: Mapping[str, Tensor],
    examples: Sequence[Example],
    good: Sequence[NDArray[np.uint8]],
    *,
    plan: RegionPlan,
) -> str:
    """Return a digest of everything that encoded regions follow from."""
    digest = hashlib.sha256(repr(plan).encode())
    for name in sorted(vae_state):
        digest.update(name.encode())
        digest.update(vae_state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    for example in examples:
        digest.update(f"{example.defect} {example.image.shape}".encode())
        digest.update(np.ascontiguousarray(example.image).data)
        digest.update(np.packbits(example.mask).data)
    for image in good:
        digest.update(str(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


@torch.no_grad()
def load_cached_regions(path: Path, source: Source, codec: LatentCodec, *, plan: RegionPlan, key: str) -> LatentRegions:
    """Encode regions, or read those that an earlier run has encoded.

    Args:
        path (Path): File that keeps them (``.safetensors``); written anew where its key is another.
        source (Source): Where regions come from.
        codec (LatentCodec): Encodes to the mode of the posterior.
        plan (RegionPlan): Which regions.
        key (str): What the regions follow from, see :func:`compute_fingerprint`.

    Returns:
        LatentRegions: On the CPU.
    """
    known = _read_regions(path, key)
    if known is not None:
        return known
    logger.info("encoding %d regions of %d px", plan.count, plan.side)
    parts = list(_encode(source, codec, plan))
    regions = LatentRegions(*(torch.cat(columns).contiguous() for columns in zip(*parts, strict=True)))
    with replace_whole(path) as partial:
        save_file(regions.pack(), partial, metadata={"key": key})
    return regions


def _read_regions(path: Path, key: str) -> LatentRegions | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stream:
            if (stream.metadata() or {}).get("key") != key:
                return None
            return LatentRegions(*(stream.get_tensor(name).clone() for name in ("clean", "mask", "kind", "surround")))
    except (SafetensorError, OSError) as error:
        logger.warning("%s: damaged (%s), encoding again", path, error)
        return None


def _encode(source: Source, codec: LatentCodec, plan: RegionPlan) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    device = next(codec.vae.parameters()).device
    for start in range(0, plan.count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, plan.count))
        drawn = [source.draw(plan.side, rng=numpy_generator(plan.seed, "region", i)) for i in numbers]
        pixels = torch.from_numpy(np.stack([example.image for example in drawn])).permute(0, 3, 1, 2) / 255.0
        inside = torch.from_numpy(np.stack([example.mask for example in drawn]))[:, None]
        clean = codec.encode(pixels.to(device)).cpu()
        surround = clean[:, :0]
        if plan.inpainting:
            surround = codec.encode(torch.where(inside, torch.full_like(pixels, GREY), pixels).to(device)).cpu()
        defect = torch.tensor([plan.defects.index(example.defect) for example in drawn])
        yield clean, codec.encode_mask(inside).to(torch.uint8), defect, surround
