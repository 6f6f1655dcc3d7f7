# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Encodings of regions that come again: other noise over the same surface, the next epoch."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.latent_codec import LatentCodec

__all__ = ["CachedCodec"]

KEPT = 256
"""Encodings kept; one of a region of 512 px has 64 KiB, as Stable Diffusion encodes it."""


class CachedCodec:
    """Encodes each region once, as long as it is among the last that were asked for.

    Regions are encoded one at a time, so that an encoding does not depend on what it was encoded with.

    Args:
        codec (LatentCodec): Encodes.
        kept (int): Encodings to keep, on the device where they were made.
    """

    def __init__(self, codec: LatentCodec, *, kept: int = KEPT) -> None:
        self.codec, self.kept = codec, kept
        self._known: OrderedDict[bytes, Tensor] = OrderedDict()

    def encode(self, images: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """Encode images; see :meth:`~anomalib_stage.synthesis.diffusion.latent_codec.LatentCodec.encode`."""
        rows = [slice(i, i + 1) for i in range(len(images))]
        return torch.cat([self._encode_one(images[row], None if noise is None else noise[row]) for row in rows])

    def _encode_one(self, image: Tensor, noise: Tensor | None) -> Tensor:
        key = _compute_key(image, noise)
        known = self._known.pop(key, None)
        latent = self.codec.encode(image, noise=noise) if known is None else known
        self._known[key] = latent
        while len(self._known) > self.kept:
            self._known.popitem(last=False)
        return latent


def _compute_key(image: Tensor, noise: Tensor | None) -> bytes:
    digest = hashlib.blake2b(f"{image.dtype} {tuple(image.shape)}".encode(), digest_size=16)
    for tensor in (image, noise):
        if tensor is not None:
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.digest()
