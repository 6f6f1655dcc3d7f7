# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Segmenter: a supervised segmentation network as an anomalib model, for batches with painted anomalies."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from anomalib import LearningType
from anomalib.metrics import Evaluator
from anomalib.models.components import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.pre_processing import PreProcessor
from anomalib.visualization import Visualizer
from pydantic import Field
from torch import Tensor

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.batch_checks import check_known_anomalies
from anomalib_stage.plugin.model.networks import build_network
from anomalib_stage.plugin.model.optimizer import build_optimizer, build_schedule
from anomalib_stage.plugin.model.segmentation_loss import SegmentationLoss
from anomalib_stage.plugin.model.segmentation_network import SegmentationNetwork
from anomalib_stage.plugin.pairs.readable_images import check_data_module
from anomalib_stage.settings import Settings, validated

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRScheduler

__all__ = ["Segmenter"]

logger = logging.getLogger(__name__)

Architecture = Literal["small_unet", "unet", "segformer", "upernet"]
Schedule = Literal["cosine", "constant"]


class _SegmenterSettings(Settings):
    """What a Segmenter can be told; which encoders exist is for the network to say."""

    architecture: Architecture
    encoder_name: str | None
    encoder_weights: str | None
    lr: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    schedule: Schedule
    warmup_steps: Annotated[int, Field(ge=0)]
    score_pixels: Annotated[int, Field(ge=1)]


class Segmenter(AnomalibModule):
    """Segmentation network that learns defects from masks, such as those of :class:`~anomalib_stage.StageAugment`.

    The network comes from segmentation_models_pytorch (``pip install 'anomalib-stage[segmentation]'``), the loss is
    binary cross entropy plus Dice, the optimizer AdamW. Nothing is downloaded unless ``encoder_weights`` is given.

    The anomaly map is the probability that a pixel is anomalous. The score of an image is the mean of its
    ``score_pixels`` highest pixels: about the size of the smallest defect that matters, so that a single noisy pixel
    does not make an image anomalous, and a small defect is not averaged away.

    Args:
        architecture (str): ``unet``, ``segformer``, ``upernet``, or ``small_unet``: a U-Net of 1 M parameters that
            learns from scratch on a CPU. Defaults to ``"unet"``.
        encoder_name (str | None): Encoder of segmentation_models_pytorch; ``tu-<name>`` is one of timm. ``None`` takes
            resnet34 for ``unet``, mit_b2 for ``segformer``, resnet50 for ``upernet``; ``small_unet`` has its own.
            Defaults to ``None``.
        encoder_weights (str | None): Pretrained weights of the encoder, such as ``imagenet``; they are downloaded once.
            ``None`` trains from scratch. Defaults to ``None``.
        lr (float): Highest learning rate. Defaults to ``3e-4``.
        weight_decay (float): Weight decay of AdamW; biases and norms have none. Defaults to ``1e-2``.
        schedule (str): ``cosine`` lets the learning rate fall to 0 at the end of the training, ``constant`` keeps it.
            Defaults to ``"cosine"``.
        warmup_steps (int): Steps in which the learning rate rises linearly. Defaults to ``0``.
        score_pixels (int): Highest pixels whose mean is the score of an image; 1 takes the maximum.
            Defaults to ``16``.
        pre_processor (PreProcessor | bool): Pre-processor; ``True`` for 256 x 256 pixels and ImageNet's mean and
            deviation. Any size will do. Defaults to ``True``.
        post_processor (PostProcessor | bool): Post-processor, or whether to use anomalib's. Defaults to ``True``.
        evaluator (Evaluator | bool): Evaluator, or whether to use anomalib's. Defaults to ``True``.
        visualizer (Visualizer | bool): Visualizer, or whether to use anomalib's. Defaults to ``True``.

    Raises:
        InputError: If an argument cannot be used.
        MissingPackageError: If segmentation_models_pytorch is not installed.

    Example:
        >>> from anomalib_stage import Segmenter
        >>> model = Segmenter(architecture="small_unet", lr=1e-3)
        >>> # Engine(callbacks=[StageAugment()], max_epochs=20).fit(model, datamodule=datamodule)
    """

    model: SegmentationNetwork

    def __init__(
        self,
        architecture: Architecture = "unet",
        *,
        encoder_name: str | None = None,
        encoder_weights: str | None = None,
        lr: float = 3e-4,
        weight_decay: float = 1e-2,
        schedule: Schedule = "cosine",
        warmup_steps: int = 0,
        score_pixels: int = 16,
        pre_processor: PreProcessor | bool = True,
        post_processor: PostProcessor | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        super().__init__(
            pre_processor=pre_processor, post_processor=post_processor, evaluator=evaluator, visualizer=visualizer
        )
        self.settings = validated(
            _SegmenterSettings,
            architecture=architecture,
            encoder_name=encoder_name,
            encoder_weights=encoder_weights,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            score_pixels=score_pixels,
        )
        network = build_network(architecture, encoder_name=encoder_name, encoder_weights=encoder_weights)
        self.model = SegmentationNetwork(network, score_pixels=score_pixels)
        self.loss = SegmentationLoss()
        self._anomalies_seen: Tensor | None = None

    @property
    def learning_type(self) -> LearningType:
        """One-class, for anomalib: its data sets hold good images, and the anomalies are painted."""
        return LearningType.ONE_CLASS

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """None: the trainer is the user's."""
        return {}

    def on_fit_start(self) -> None:
        """Refuse files that anomalib would read as white or nearly black.

        Raises:
            DataError: Names the first of them and the cure.
        """
        check_data_module(getattr(self.trainer, "datamodule", None))

    def training_step(self, batch: Any) -> Tensor:  # noqa: ANN401 - anomalib's ImageBatch
        """Return the loss of a batch with images ``(B, 3, H, W)`` and masks ``(B, H, W)``.

        Raises:
            InputError: If images are anomalous and the batch has no masks: their defects would be learnt as good.
        """
        images, masks = batch.image, _read_masks(batch)
        self._anomalies_seen = masks.any() if self._anomalies_seen is None else self._anomalies_seen | masks.any()
        if len(images) == 1:  # batch norm of a 1 x 1 feature needs two samples: the last batch of an epoch may be short
            images, masks = torch.cat([images, images.flip(-1)]), torch.cat([masks, masks.flip(-1)])
        loss: Tensor = self.loss(self.model.compute_logits(images), masks)
        self.log("train_loss", loss.detach(), on_epoch=True, prog_bar=True, logger=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: Any) -> Any:  # noqa: ANN401 - anomalib's ImageBatch
        """Return the batch with anomaly maps and scores."""
        return batch.update(**self.model(batch.image)._asdict())

    def on_train_end(self) -> None:
        """Warn if there was nothing to learn."""
        if self._anomalies_seen is not None and not bool(self._anomalies_seen):
            logger.warning(
                "Segmenter has seen no anomaly in training and cannot have learnt any; add the callback "
                "anomalib_stage.StageAugment with probability above 0, or train on data with masks of defects"
            )
        self._anomalies_seen = None

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW, and the schedule of its learning rate by steps.

        Raises:
            InputError: If a cosine schedule is asked for and the training has no end.
        """
        chosen = self.settings
        last = self._find_last_step() if chosen.schedule == "cosine" else None
        optimizer = build_optimizer(self.model, lr=chosen.lr, weight_decay=chosen.weight_decay)
        scheduler = build_schedule(optimizer, rise=chosen.warmup_steps, last=last)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _find_last_step(self) -> int:
        last = self.trainer.estimated_stepping_batches
        if last in {math.inf, -1}:
            msg = "Segmenter: a cosine schedule needs an end; set the trainer's max_epochs or max_steps, or constant"
            raise InputError(msg)
        return int(last)


def _read_masks(batch: Any) -> Tensor:  # noqa: ANN401 - anomalib's ImageBatch
    """Return the masks ``(B, H, W)`` bool of a batch; images of a good batch without masks are good all over."""
    _, masks = check_known_anomalies(batch, reader="Segmenter")
    if masks is not None:
        return masks
    height, width = batch.image.shape[-2:]
    return torch.zeros(len(batch.image), height, width, dtype=torch.bool, device=batch.image.device)
