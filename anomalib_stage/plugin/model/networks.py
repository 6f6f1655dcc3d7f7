# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation networks of segmentation_models_pytorch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import nn

from anomalib_stage.errors import InputError, MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["ENCODERS", "build_network", "load_smp"]

PRIOR = 0.01
"""Share of anomalous pixels that an untrained network expects."""

ENCODERS = {"unet": "resnet34", "segformer": "mit_b2", "upernet": "resnet50"}
"""Architecture to the encoder that it gets if none is named."""

SMALL_UNET: dict[str, Any] = {
    "encoder_name": "tu-resnet18",  # with one block a stage, and a quarter to half of its widths
    "layers": (1, 1, 1, 1),
    "channels": (32, 64, 96, 128),
    "stem_type": "deep",  # three narrow 3x3 convolutions in place of a wide 7x7 one
    "stem_width": 8,
    "decoder_channels": (96, 64, 32, 24, 16),
}
"""Small U-Net that learns from scratch on a CPU: 1 M parameters, under a third of the time of one with ResNet-18."""


def load_smp() -> ModuleType:
    """Import segmentation_models_pytorch.

    Raises:
        MissingPackageError: If it is not installed.
    """
    try:
        return importlib.import_module("segmentation_models_pytorch")
    except ModuleNotFoundError as error:
        if error.name != "segmentation_models_pytorch":  # it is there, and misses something itself
            raise
        msg = (
            "Segmenter needs the package segmentation_models_pytorch, which is not installed; "
            "pip install 'anomalib-stage[segmentation]'"
        )
        raise MissingPackageError(msg) from error


def build_network(architecture: str, *, encoder_name: str | None, encoder_weights: str | None) -> nn.Module:
    """Build a network from RGB images ``(B, 3, H, W)`` to logits ``(B, 1, H, W)``; H and W are multiples of 32.

    Args:
        architecture (str): ``small_unet``, or one of :data:`ENCODERS`.
        encoder_name (str | None): Encoder of segmentation_models_pytorch; ``tu-<name>`` is one of timm. ``None`` takes
            that of :data:`ENCODERS`.
        encoder_weights (str | None): Name of pretrained weights, which are downloaded; ``None`` downloads nothing.

    Returns:
        nn.Module: The network, in training mode, on the CPU. Its bias says that :data:`PRIOR` of all pixels are
        anomalous, so that the first steps are not spent on learning that anomalies are rare.

    Raises:
        InputError: If there is no such encoder, no such weights of it, or it does not fit the architecture.
        MissingPackageError: If segmentation_models_pytorch is not installed.
    """
    smp = load_smp()
    if architecture == "small_unet":
        _check_small(encoder_name, encoder_weights)
        network = smp.create_model("unet", encoder_weights=None, **SMALL_UNET)
    else:
        encoder = encoder_name or ENCODERS[architecture]
        weights = _check_weights(smp, encoder, encoder_weights)
        try:
            network = smp.create_model(architecture, encoder_name=encoder, encoder_weights=weights)
        except ValueError as error:
            msg = f"encoder {encoder!r} does not fit {architecture}: {error}; leave encoder_name out, or give another"
            raise InputError(msg) from error
    nn.init.constant_(network.segmentation_head[0].bias, float(torch.tensor(PRIOR).logit()))
    built: nn.Module = network
    return built


def _check_small(encoder_name: str | None, encoder_weights: str | None) -> None:
    if encoder_name is not None or encoder_weights is not None:
        msg = (
            f"small_unet has an encoder of its own, but encoder_name is {encoder_name!r} and encoder_weights is "
            f"{encoder_weights!r}; leave both out, or give architecture='unet'"
        )
        raise InputError(msg)


def _check_weights(smp: ModuleType, encoder: str, weights: str | None) -> str | bool | None:
    """Return weights as segmentation_models_pytorch wants them, after a look whether encoder and weights exist."""
    if encoder.startswith("tu-"):
        if not timm.is_model(encoder.removeprefix("tu-").partition(".")[0]):
            msg = f"timm has no model {encoder.removeprefix('tu-')!r}; see timm.list_models()"
            raise InputError(msg)
        return None if weights is None else True  # the name holds the variant
    if encoder not in smp.encoders.encoders:
        msg = (
            f"segmentation_models_pytorch has no encoder {encoder!r}; give one of its encoders, such as "
            f"{', '.join(ENCODERS.values())} (segmentation_models_pytorch.encoders.get_encoder_names() lists them), or "
            "'tu-<name>' for one of timm"
        )
        raise InputError(msg)
    known = smp.encoders.encoders[encoder]["pretrained_settings"]
    if weights is not None and weights not in known:
        msg = f"encoder {encoder!r} has no weights {weights!r}; give one of {', '.join(known)}, or null for none"
        raise InputError(msg)
    return weights
