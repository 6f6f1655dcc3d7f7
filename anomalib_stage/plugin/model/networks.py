# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation networks of segmentation_models_pytorch, wrapped for images of any size and for anomalib's batches."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import timm
import torch
from anomalib.data import InferenceBatch
from torch import Tensor, nn
from torch.nn import functional

from anomalib_stage.errors import InputError, MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["ENCODERS", "SegmentationLoss", "SegmentationNetwork", "build_network", "load_smp"]

STRIDE = 32
"""Sides of a network's input are multiples of this: five halvings."""

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
        weights = _checked_weights(smp, encoder, encoder_weights)
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


def _checked_weights(smp: ModuleType, encoder: str, weights: str | None) -> str | bool | None:
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


class SegmentationNetwork(nn.Module):
    """A network for images of any size, with anomalib's answer: maps and scores.

    Images are padded at the right and at the bottom, with their border pixels, to multiples of 32, and maps are cropped
    back. Memory is laid out channels last, which convolutions on the CPU, and in half precision on the GPU, want.

    Args:
        network (nn.Module): From images ``(B, 3, H, W)`` to logits ``(B, 1, H, W)``, for multiples of 32.
        score_pixels (int): Number of pixels that make an image's score.
    """

    def __init__(self, network: nn.Module, *, score_pixels: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.score_pixels = score_pixels

    def logits(self, images: Tensor) -> Tensor:
        """Return float32 logits ``(B, 1, H, W)`` for normalised images ``(B, 3, H, W)``."""
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        logits: Tensor = self.network(padded.contiguous(memory_format=torch.channels_last))
        return logits[..., :height, :width].float()

    def forward(self, images: Tensor) -> InferenceBatch:
        """Find anomalies.

        Args:
            images (Tensor): Normalised images ``(B, 3, H, W)``.

        Returns:
            InferenceBatch: ``anomaly_map`` ``(B, 1, H, W)`` float32 in [0, 1], the probability that a pixel is
            anomalous; ``pred_score`` ``(B,)`` float32 in [0, 1], the mean of the highest pixels.
        """
        anomaly_map = self.logits(images).sigmoid()
        highest = anomaly_map.flatten(1).topk(min(self.score_pixels, anomaly_map[0].numel()), dim=1).values
        return InferenceBatch(pred_score=highest.mean(dim=1), anomaly_map=anomaly_map)


class SegmentationLoss(nn.Module):
    """Binary cross entropy, plus the Dice loss of each image that has an anomaly.

    Dice weighs anomalies as a whole, however small. It is taken image by image: over a batch, one large anomaly that is
    hard to see would outweigh all small ones, and a network may then give up on all of them. Cross entropy teaches what
    is good.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = nn.BCEWithLogitsLoss()
        self.dice = load_smp().losses.DiceLoss("binary")

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits (Tensor): ``(B, 1, H, W)`` float32.
            masks (Tensor): ``(B, H, W)`` bool, True where a pixel is anomalous.

        Returns:
            Tensor: Scalar; finite also without any anomaly.
        """
        wanted = masks[:, None].to(logits.dtype)
        anomalous = masks.flatten(1).any(dim=1).sum().clamp_min(1)
        each = [self.dice(logits[i : i + 1], wanted[i : i + 1]) for i in range(len(masks))]  # 0 where it is good
        loss: Tensor = self.cross_entropy(logits, wanted) + torch.stack(each).sum() / anomalous
        return loss
