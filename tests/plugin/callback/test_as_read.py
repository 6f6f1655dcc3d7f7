# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Loaders of a user's own beside a bank: what they do to good images must be what happens to pairs, or be refused."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.callback.as_read import IMAGES, AsRead, measure_difference
from anomalib_stage.plugin.callback.augment import StageAugment
from tests.plugin.conftest import MODELS
from tests.plugin.real_models import data_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Begin = Callable[..., None]


@pytest.fixture
def begin(bank: Path, parts: Path, trainer: SimpleNamespace) -> Begin:
    """Return a function that trains on loaders alone, whose images had a step of their own."""

    def run(model: str, step: v2.Transform | None, *, named: bool = True, epochs: int = 1, **hooks: Any) -> None:
        augment, built = StageAugment(bank=bank, negatives=0.0, weights="no/such/file", preview=False), MODELS[model]()
        data = data_module(parts, train_augmentations=step)
        data.setup("fit")
        trainer.callbacks = [augment]
        vars(trainer).update(hooks)
        augment.setup(trainer, built, "fit")
        augment.on_fit_start(trainer, built)
        for trainer.current_epoch in range(epochs):
            for index, batch in enumerate(data.train_dataloader()):
                if not named:
                    batch.image_path = None
                augment.on_train_batch_start(trainer, built, batch, index)

    return run


STEPS = [
    v2.ColorJitter(brightness=(1.2, 1.2)),
    v2.GaussianBlur(3, sigma=1.0),
    v2.GaussianNoise(sigma=0.01),
    v2.RandomHorizontalFlip(0.5),
    v2.RandomResizedCrop(96, scale=(0.9, 1.0)),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_loaders_that_augment_are_refused_with_the_reason_and_the_cure(begin: Begin, step: v2.Transform) -> None:
    torch.manual_seed(0)
    complaint = (
        r"good/00\d\.png is not what anomalib reads .* in train_augmentations.* StageFolder; or leave the bank out"
    )
    with pytest.raises(InputError, match=complaint):
        begin("UniNet", step, epochs=2)


@pytest.mark.parametrize("model", ["UniNet", "Draem"])
def test_loaders_that_do_nothing_are_fine(begin: Begin, caplog: pytest.LogCaptureFixture, model: str) -> None:
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        begin(model, None, epochs=2)
    assert caplog.text == ""


def test_batches_without_names_of_files_are_warned_about_once(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        begin("UniNet", v2.ColorJitter(brightness=(1.2, 1.2)), named=False, epochs=2)
    [record] = caplog.records
    assert "whether good images are augmented is not known, as these batches do not name" in record.getMessage()


def test_a_collate_function_that_augments_behind_a_data_module_is_seen(
    parts: Path, bank: Path, trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    def collate(items: list[Any]) -> Any:
        batch = data.train_data.collate_fn(items)
        batch.image = batch.image * 0.9
        return batch

    data = data_module(parts)
    data.external_collate_fn = collate
    data.setup("fit")
    augment, model = StageAugment(bank=bank, negatives=0.0, weights="no/such/file", preview=False), MODELS["UniNet"]()
    vars(trainer).update(callbacks=[augment], datamodule=data)
    augment.setup(trainer, model, "fit")
    augment.on_fit_start(trainer, model)
    with pytest.raises(InputError, match="is not what anomalib reads"):
        augment.on_train_batch_start(trainer, model, next(iter(data.train_dataloader())), 0)

    data.train_data.augmentations = v2.RandomHorizontalFlip()  # nothing to compare with any more: said
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        augment.on_fit_start(trainer, model)
    assert "whether external_collate_fn changes good images besides is not known" in caplog.text


def test_some_levels_of_two_decoders_are_no_difference(parts: Path) -> None:
    path = str(parts / "good" / "000.png")
    image = v2.functional.to_dtype(tv_tensors.Image(_pixels(path)), torch.float32, scale=True)
    assert measure_difference(image, path) == 0.0
    assert measure_difference(image + 2 / 255, path) == 0.0
    assert measure_difference(image + 4 / 255, path) == 1.0
    assert measure_difference(image, str(parts / "good" / "none.png")) is None


def test_only_the_first_images_are_compared(parts: Path) -> None:
    checked, path = AsRead(None), str(parts / "good" / "000.png")
    good = v2.functional.to_dtype(tv_tensors.Image(_pixels(path)), torch.float32, scale=True)
    checked.check(good.expand(IMAGES, -1, -1, -1), [path] * IMAGES)
    checked.check(torch.zeros_like(good)[None], [path])


def _pixels(path: str) -> torch.Tensor:
    from PIL import Image

    with Image.open(path) as picture:
        return v2.functional.pil_to_tensor(picture.convert("RGB"))
