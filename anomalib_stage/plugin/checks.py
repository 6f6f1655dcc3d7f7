# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of what users hand to this package's parts of a training: constructor arguments and training batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    "check_defects",
    "check_fraction",
    "check_good",
    "check_known_anomalies",
    "check_range",
    "check_refresh",
    "check_seed",
]

OWNER = "StageAugment"
"""Whose argument it is, unless said otherwise; every message begins with it."""

TOLERANCE = 1e-3
"""How far pixels may lie outside [0, 1]: resizing and de-normalising round."""


def check_fraction(name: str, value: object, *, owner: str = OWNER) -> None:
    """Refuse anything but a number in [0, 1].

    Raises:
        InputError: Says what was given.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        msg = f"{owner}: {name} is {value!r}; give a number from 0 to 1"
        raise InputError(msg)


def check_seed(seed: object, *, owner: str = OWNER) -> None:
    """Refuse anything but an integer.

    Raises:
        InputError: Says what was given.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        msg = f"{owner}: seed is {seed!r}; give an integer"
        raise InputError(msg)


def check_defects(defects: Sequence[str] | None, *, owner: str = OWNER) -> None:
    """Refuse anything but None or a list of names of defects that is not empty.

    Raises:
        InputError: Says what was given.
    """
    if defects is None:
        return
    if isinstance(defects, str) or not defects or not all(isinstance(defect, str) for defect in defects):
        msg = f"{owner}: defects is {defects!r}; give a list of names such as ['scratch', 'stain'], or None for all"
        raise InputError(msg)
    if "good" in defects:
        msg = f"{owner}: 'good' is not a defect; how much good surface is painted over is the argument negatives"
        raise InputError(msg)


def check_refresh(refresh: object, *, bank: object) -> None:
    """Refuse a share of live pairs outside [0, 1], or one without a bank that the others come from.

    Raises:
        InputError: Says what was given.
    """
    check_fraction("refresh", refresh)
    if refresh and bank is None:
        msg = f"{OWNER}: refresh is {refresh!r} without a bank, where every anomaly is live; give bank=FOLDER, or 0"
        raise InputError(msg)


def check_range(images: Tensor, *, owner: str = OWNER) -> None:
    """Refuse training images outside [0, 1]: normalised before their time, or not numbers at all.

    Raises:
        InputError: Says what range was seen.
    """
    low, high = (float(value) for value in torch.aminmax(images.as_subclass(torch.Tensor)))
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
