# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Slim latent bundles: what was learnt in one file, the frozen networks in another, which its digest names.

Several slim bundles in a folder share one base. Only what was learnt need be copied or passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.latent.additions import add_additions
from anomalib_stage.weights.latent_manifest import LORA, NETWORKS
from anomalib_stage.weights.tensor_file import compute_digest, write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["PRECISIONS", "cast_stored", "collect_frozen_tensors", "format_base_name", "join_tensors", "write_base"]


PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""How a base can be stored."""

NAMED = 16
"""Digits of the digest in a base's file name."""


def format_base_name(digest: str) -> str:
    """Return the file name of the base with a digest."""
    return f"base-{digest[:NAMED]}.safetensors"


def cast_stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor as a bundle stores it: floats in ``dtype``, others as they are."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def collect_frozen_tensors(unet: nn.Module, vae: nn.Module, *, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the weights of U-Net and autoencoder under the names that they have in a bundle, in ``dtype``."""
    parts = zip(NETWORKS, (unet, vae), strict=True)
    return {f"{prefix}{k}": cast_stored(v, dtype) for prefix, network in parts for k, v in network.state_dict().items()}


def write_base(tensors: Mapping[str, Tensor], folder: Path) -> str:
    """Write a base into a folder, unless it is there.

    Args:
        tensors (Mapping[str, Tensor]): Weights, see :func:`collect_frozen_tensors`.
        folder (Path): Where its bundles are.

    Returns:
        str: Its digest; the file's name is :func:`format_base_name` of it.

    Raises:
        BundleError: If it cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    digest = compute_digest(contiguous)
    path = folder / format_base_name(digest)
    if path.is_file():
        try:
            _read_base(path, digest=digest, reader="this")
        except BundleError:
            pass  # damaged: written again
        else:
            return digest
    try:
        write_tensors(path, contiguous, metadata={"digest": digest})
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        msg = f"{path}: cannot be written ({error}); choose a folder with space that you may write to"
        raise BundleError(msg) from error
    return digest


def join_tensors(bundle: StageBundle) -> dict[str, Tensor]:
    """Return all tensors of a latent bundle; those of a slim one with its base's, low-rank additions merged.

    Raises:
        BundleError: If the base of a slim bundle is not beside it, is damaged, or is another one.
    """
    digest = bundle.manifest.base_digest
    if digest is None or any(name.startswith(NETWORKS) for name in bundle.tensors):
        return bundle.tensors
    if bundle.path is None:
        msg = (
            f"a slim bundle that is not saved has no folder in which {format_base_name(digest)} could be; save it first"
        )
        raise BundleError(msg)
    path = bundle.path.parent / format_base_name(digest)
    if not path.is_file():
        others = sorted(found.name for found in path.parent.glob("base-*.safetensors"))
        there = f" ({shorten(others)} is another base)" if others else ""
        origin = bundle.manifest.training.get("pretrained", "MODEL")
        msg = (
            f"{bundle.path}: its base model is not beside it{there}; put {path.name} there, or write it: "
            f"anomalib-stage store-base --pretrained {origin} --out {path.parent}"
        )
        raise BundleError(msg)
    own = bundle.tensors
    additions = {name: tensor for name, tensor in own.items() if name.startswith(LORA)}
    rest = {name: tensor for name, tensor in own.items() if name not in additions}
    return rest | add_additions(_read_base(path, digest=digest, reader=str(bundle.path)), additions, where=bundle.path)


def _read_base(path: Path, *, digest: str, reader: str) -> dict[str, Tensor]:
    try:
        # copied, so that the file may go, and aligned as other tensors are
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    except Exception as error:  # damage surfaces in many ways
        msg = f"{path}: cannot be read ({error}); get the base again"
        raise BundleError(msg) from error
    seen = compute_digest(tensors)
    if seen != digest:
        msg = (
            f"{path}: is another base, with digest {seen[:12]}...; {reader} was fitted on {digest[:12]}...: "
            "get that one, or write it with 'anomalib-stage store-base'"
        )
        raise BundleError(msg)
    return tensors
