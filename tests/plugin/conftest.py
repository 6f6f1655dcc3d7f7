# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Small models with the names and attribute slots of anomalib's, for tests that need no training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchvision import tv_tensors

from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.callback.augment import StageAugment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_pair(image: Tensor, mask: Tensor, painted: Tensor | None = None) -> Pair:
    """Make a pair of its pixels."""
    label = mask.flatten(1).any(dim=1)
    return replace(Pair.untouched(image), mask=mask, painted=mask if painted is None else painted, label=label)


@dataclass
class Batch:
    """The fields of anomalib's ``ImageBatch`` that a training step reads."""

    image: Tensor
    gt_mask: Tensor | None = None
    gt_label: Tensor | None = None


class Generator(nn.Module):
    """An image generator as DRAEM's: answers ``(images, masks)``; has tensors of its own to be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.ones(2))
        self.register_buffer("count", torch.zeros(1))
        self.probability = 0.75

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return -images, torch.zeros_like(images[:, :1])


class MaskGenerator(nn.Module):
    """A mask generator as DSR's: has ``augment_batch`` and no ``forward``."""

    def augment_batch(self, images: Tensor) -> Tensor:
        return torch.full_like(images[:, :1], -1.0)


class CutPaste:
    """A plain callable as FoundAD's: normalised images in and out."""

    def __call__(self, images: Tensor) -> Tensor:
        return images + 100.0


class Recorder(LightningModule):
    """A module that keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, tuple[float, int | None]] = {}

    def log(self, name: str, value: Any, *args: Any, batch_size: int | None = None, **kwargs: Any) -> None:
        del args, kwargs
        self.logged[name] = (value, batch_size)


class UniNet(Recorder):
    """Reads masks and labels in training."""


class Draem(Recorder):
    """Has its own image generator."""

    def __init__(self) -> None:
        super().__init__()
        self.augmenter = Generator()


class Dsr(Recorder):
    """Has a mask generator for its first phase and an image generator for its second."""

    def __init__(self) -> None:
        super().__init__()
        self.quantized_anomaly_generator = MaskGenerator()
        self.perlin_generator = Generator()


class Glass(Recorder):
    """Has its image generator one level down."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.augmentor = Generator()


class FoundAD(Recorder):
    """Has a generator that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.cutpaste = CutPaste()


MODELS = {model.__name__: model for model in (UniNet, Draem, Dsr, Glass, FoundAD)}


def good_images(count: int = 4, size: tuple[int, int] = (64, 48), seed: int = 0) -> Tensor:
    """Return smooth noise in [0, 1], ``(count, 3, *size)``."""
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.25


def a_batch(count: int = 4, **fields: Any) -> Batch:
    """Return a batch of good images as anomalib's segmentation data sets give them."""
    images = tv_tensors.Image(good_images(count))
    mask = tv_tensors.Mask(torch.zeros(count, 64, 48, dtype=torch.bool))
    return Batch(**({"image": images, "gt_mask": mask, "gt_label": torch.zeros(count, dtype=torch.bool)} | fields))


def train_step(augment: StageAugment, trainer: Any, model: Any, batch: Batch, index: int = 0) -> Batch:
    """Run the hooks around one training step."""
    augment.on_train_batch_start(trainer, model, batch, index)
    augment.on_train_batch_end(trainer, model, None, batch, index)
    return batch


@pytest.fixture
def trainer(tmp_path: Path) -> SimpleNamespace:
    """Return what StageAugment reads of a trainer."""
    return SimpleNamespace(
        global_rank=0, is_global_zero=True, current_epoch=0, callbacks=[], default_root_dir=str(tmp_path / "run")
    )


@pytest.fixture
def started(tiny_bundle_path: Path, trainer: SimpleNamespace) -> Callable[..., tuple[StageAugment, Any]]:
    """Return a function that starts a fit: ``started("Draem", seed=1)`` gives the callback and the model."""

    def start(name: str, **arguments: Any) -> tuple[StageAugment, Any]:
        augment, model = StageAugment(weights=str(tiny_bundle_path), sampling_steps=4, **arguments), MODELS[name]()
        trainer.callbacks = [augment]
        augment.setup(trainer, model, "fit")
        augment.on_fit_start(trainer, model)
        return augment, model

    return start
