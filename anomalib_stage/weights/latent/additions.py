# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank additions to a frozen U-Net, merged into its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.latent_manifest import LORA, NETWORKS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["add_additions"]


def add_additions(
    tensors: Mapping[str, Tensor], additions: Mapping[str, Tensor], *, where: Path | None = None
) -> dict[str, Tensor]:
    """Merge low-rank additions into weights: ``W + up @ down``, computed in float32.

    Args:
        tensors (Mapping[str, Tensor]): Weights, among them ``denoiser.<layer>.weight``.
        additions (Mapping[str, Tensor]): ``lora.<layer>.down`` ``(rank, inputs)`` and ``lora.<layer>.up``
            ``(outputs, rank)``.
        where (Path | None): What messages call the bundle.

    Returns:
        dict[str, Tensor]: All weights; those that nothing is added to are not copied.

    Raises:
        BundleError: If a layer is not there, or has another shape.
    """
    whole = dict(tensors)
    for layer in sorted({name.removeprefix(LORA).rpartition(".")[0] for name in additions}):
        name = f"{NETWORKS[0]}{layer}.weight"
        down, up = (additions[f"{LORA}{layer}.{part}"].float() for part in ("down", "up"))
        if name not in whole or whole[name].shape != (len(up), down.shape[1]):
            seen = list(whole[name].shape) if name in whole else "none"
            msg = f"{where}: additions {[len(up), down.shape[1]]} to {layer}, whose weights are {seen}; fit it again"
            raise BundleError(msg)
        whole[name] = (whole[name].float() + up @ down).to(whole[name].dtype)
    return whole
