# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Tensors in a safetensors file: their digest, whether they are finite, and how they are written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from anomalib_stage.errors import BundleError
from anomalib_stage.files.atomic import replace_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["DTYPES", "check_finite", "compute_digest", "write_tensors"]


DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.int64: "I64",
    torch.bool: "BOOL",
}


def compute_digest(tensors: Mapping[str, Tensor]) -> str:
    r"""Return the SHA-256 of weights.

    Hashed is, for each tensor in the sorted order of names: ``f"{name}\0{dtype}\0{shape}\0"`` in UTF-8, with
    safetensors' name of the dtype (``F32``) and the shape as Python prints a tuple (``(3, 2)``, ``(3,)``, ``()``); then
    the raw bytes, row-major, little-endian, as they stand in the file. One tensor at a time, nothing is concatenated.

    Args:
        tensors (Mapping[str, Tensor]): Weights of any shape, in the dtypes that bundles hold.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{DTYPES.get(tensor.dtype, tensor.dtype)}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_finite(tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Refuse tensors with NaN or infinite values; ``where`` begins the message.

    Raises:
        BundleError: Names at most five of them.
    """
    bad = sorted(n for n, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all())
    if bad:
        msg = f"{where}NaN or infinite values in {', '.join(bad[:5])}; the training that made them failed, fit again"
        raise BundleError(msg)


def write_tensors(target: Path, tensors: dict[str, Tensor], *, metadata: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all; missing parent folders are made."""
    with replace_whole(target, durable=True) as partial:
        partial.touch()
        mode = partial.stat().st_mode & 0o777  # what the umask gives; safetensors makes files for their owner alone
        save_file(tensors, partial, metadata=metadata)
        partial.chmod(mode)
