# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether pairs belong into a training: its model, or the callback, may want them elsewhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import UnsupportedModelError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.refusals import find_refusal
from anomalib_stage.plugin.seams import find_seam

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

__all__ = ["takes_pairs"]

logger = logging.getLogger(__name__)


def takes_pairs(trainer: Any, *, wanted: bool, transforms: bool, bank: object) -> bool:  # noqa: ANN401 - Lightning's
    """Say whether pairs belong into a training; refuse a model that anomalous images would harm.

    Args:
        trainer (Trainer | None): Lightning's trainer, if there is one.
        wanted (bool): Pairs were asked for.
        transforms (bool): A ``StageTransform`` is among the augmentations.
        bank (object): Folder of pairs, for messages.

    Returns:
        bool: False where none are wanted, or ``StageAugment`` hands them to the model in another place.

    Raises:
        UnsupportedModelError: If the model would take the pairs for good images.
    """
    model = getattr(trainer, "lightning_module", None)
    if model is None or not (wanted or transforms):
        return wanted
    seam, reason = find_seam(model), find_refusal(model)
    if seam is not None and seam.mode == "swap":
        if transforms or not _has_callback(trainer):
            raise UnsupportedModelError(_explain_swap(model, bank))
        logger.info("StageFolder: the pairs are left to StageAugment, as %s wants them", type(model).__name__)
        return False
    if reason is not None:
        msg = (
            f"StageFolder cannot be used with {type(model).__name__}: {reason}. Train Supersimplenet or UniNet, or "
            "good images alone with anomalib's Folder"
        )
        raise UnsupportedModelError(msg)
    if seam is None:
        name = type(model).__name__
        logger.warning("StageFolder: %s trains on anomalous images, and is not known to read their masks", name)
    return wanted


def _has_callback(trainer: Any) -> bool:  # noqa: ANN401 - Lightning's Trainer
    return any(isinstance(callback, StageAugment) for callback in trainer.callbacks)


def _explain_swap(model: LightningModule, bank: object) -> str:
    name = type(model).__name__
    return (
        f"StageFolder cannot put anomalous images into the training of {name}, which takes the images of a batch for "
        f"clean and would learn anomalies as normal. Add the callback StageAugment(bank={str(bank)!r}), which "
        f"hands the pairs to {name} in place of its own anomalies; no StageTransform"
    )
