# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of training batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.checks import OWNER

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_good", "check_known_anomalies", "check_range"]

TOLERANCE = 1e-3
"""How far pixels may lie outside [0, 1]: resizing and de-normalising round."""


def check_range(images: Tensor, *, owner: str = OWNER) -> None:
    """Refuse training images outside [0, 1]: normalised before their time, or not numbers at all.

    Raises:
        InputError: Says what range was seen.
    """
    plain = images.as_subclass(torch.Tensor)
    low, high = float(plain.amin()), float(plain.amax())  # aminmax is not on every device
    if low >= -TOLERANCE and high <= 1.0 + TOLERANCE:  # False for NaN
        return
    msg = (
        f"{owner} got training images in [{low:.3g}, {high:.3g}]; it needs RGB in [0, 1] without NaN. If the "
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


def check_good(batch: Any, *, model: object) -> None:  # noqa: ANN401 - anomalib's ImageBatch
    """Refuse anomalous images in a batch whose images the model takes as its clean targets.

    Raises:
        InputError: If a label or a mask of the batch says anomalous.
    """
    labels, masks = batch.gt_label, batch.gt_mask
    if (labels is not None and bool(labels.any())) or (masks is not None and bool(masks.any())):
        msg = (
            f"{OWNER}: the training batch has anomalous images, and {type(model).__name__} would take them for clean "
            "ones; train it on good images only, and let bank=FOLDER bring in pregenerated pairs"
        )
        raise InputError(msg)
