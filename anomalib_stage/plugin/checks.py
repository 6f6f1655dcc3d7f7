# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of what users hand to StageAugment: constructor arguments and training batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["check_arguments", "check_known_anomalies", "check_range"]

TOLERANCE = 1e-3
"""How far pixels may lie outside [0, 1]: resizing and de-normalising round."""


def check_arguments(
    *,
    probability: float | None,
    negatives: float,
    defects: Sequence[str] | None,
    seed: int,
    mode: str,
    target: str | None,
) -> None:
    """Check what can be checked without weights or a model.

    Raises:
        InputError: Naming the first argument that cannot be used.
    """
    _check_fraction("probability", 0.0 if probability is None else probability)
    _check_fraction("negatives", negatives)
    _check_defects(defects)
    _check_override(mode, target)
    if isinstance(seed, bool) or not isinstance(seed, int):
        msg = f"StageAugment: seed is {seed!r}; give an integer"
        raise InputError(msg)


def _check_fraction(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        msg = f"StageAugment: {name} is {value!r}; give a number from 0 to 1"
        raise InputError(msg)


def _check_defects(defects: Sequence[str] | None) -> None:
    if defects is None:
        return
    if isinstance(defects, str) or not defects or not all(isinstance(kind, str) for kind in defects):
        msg = (
            f"StageAugment: defects is {defects!r}; give a list of names such as ['scratch', 'stain'], or None for all"
        )
        raise InputError(msg)
    if "good" in defects:
        msg = "StageAugment: 'good' is not a defect; how much good surface is painted over is the argument negatives"
        raise InputError(msg)


def _check_override(mode: str, target: str | None) -> None:
    if mode not in {"auto", "batch", "swap"}:
        msg = f"StageAugment: mode is {mode!r}; give 'auto', 'batch' or 'swap'"
        raise InputError(msg)
    if target is not None and (mode == "batch" or not isinstance(target, str) or not target):
        msg = (
            f"StageAugment: target is {target!r} with mode={mode!r}; give the dotted path of a generator and "
            "mode='swap', or no target"
        )
        raise InputError(msg)


def check_range(images: Tensor) -> None:
    """Refuse training images outside [0, 1]: normalised before their time, or not numbers at all."""
    low, high = (float(value) for value in torch.aminmax(images.as_subclass(torch.Tensor)))
    if low >= -TOLERANCE and high <= 1.0 + TOLERANCE:  # False for NaN
        return
    msg = (
        f"StageAugment got training images in [{low:.3g}, {high:.3g}]; it needs RGB in [0, 1] without NaN. If the "
        "data module's augmentations normalise, move Normalize into the model's pre_processor, which runs after this"
    )
    raise InputError(msg)


def check_known_anomalies(batch: Any, *, reader: str = "StageAugment") -> tuple[Tensor, Tensor | None]:  # noqa: ANN401 - anomalib's ImageBatch
    """Read which images of a batch are anomalous already.

    Args:
        batch (ImageBatch): Training batch.
        reader (str): Who reads it, for the message. Defaults to ``"StageAugment"``.

    Returns:
        tuple[Tensor, Tensor | None]: ``(B,)`` bool, and the masks ``(B, H, W)`` bool, None if the batch has none.

    Raises:
        InputError: If an anomalous image has no mask: its defect would count as normal.
    """
    masks = None if batch.gt_mask is None else batch.gt_mask.as_subclass(torch.Tensor).bool()
    known = torch.zeros(len(batch.image), dtype=torch.bool, device=batch.image.device)
    if batch.gt_label is not None:
        known |= batch.gt_label.bool()
    if masks is not None:
        return known | masks.flatten(1).any(dim=1), masks
    if bool(known.any()):
        msg = (
            f"{reader}: the training batch has anomalous images without masks, so their defects would count as "
            "normal pixels. Give their masks (mask_dir), or train on good images only"
        )
        raise InputError(msg)
    return known, None
