# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Loads the network of a training, onto the model's device if it can paint there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from anomalib_stage.devices import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from lightning.pytorch import LightningModule
    from torch import Tensor

    from anomalib_stage.plugin.pairs.choice import Shares
    from anomalib_stage.plugin.pairs.painter import Painter
    from anomalib_stage.settings import SynthesisSettings

__all__ = ["find_device", "load_painter"]

logger = logging.getLogger(__name__)


def load_painter(
    weights: str,
    *,
    device: str,
    model: LightningModule,
    settings: SynthesisSettings,
    shares: Shares,
    visible: Callable[[Tensor, Tensor], Tensor] | None,
) -> Painter:
    """Load a bundle for the batches of a training.

    Args:
        weights (str): ``default`` or the path of a bundle file.
        device (str): See :func:`find_device`.
        model (LightningModule): The model that trains.
        settings (SynthesisSettings): How to paint.
        shares (Shares): How many images get what.
        visible (Callable | None): See :class:`~anomalib_stage.plugin.pairs.painter.Painter`.

    Raises:
        BundleError: If the bundle cannot be read.
        DeviceError: If the device that was asked for does not exist here.
        InputError: If the bundle does not know one of the defects.
    """
    from anomalib_stage.pipeline.synthesizer import StageSynthesizer  # loads diffusers
    from anomalib_stage.plugin.pairs.painter import Painter  # loads diffusers

    where = find_device(device, model.device)
    return Painter(
        StageSynthesizer.from_pretrained(weights, device=where, synthesis=settings), shares=shares, visible=visible
    )


def find_device(asked: str, of_model: torch.device) -> str | torch.device:
    """Return where to paint: where asked, or for ``auto`` where the model is, or else the CPU, with a warning.

    Args:
        asked (str): ``auto`` or the name of a device.
        of_model (torch.device): Where the model trains.
    """
    if asked != "auto":
        return asked
    if of_model.type in KINDS:
        return of_model
    logger.warning(
        "StageAugment: the model is on %s, where nothing can be painted; painting on the CPU, which is slower; a bank "
        "of pregenerated pairs needs no painting",
        of_model,
    )
    return "cpu"
