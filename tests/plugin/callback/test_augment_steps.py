# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What StageAugment does to one training batch, in batch mode and in swap mode, on small stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torchvision import tv_tensors

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.seams import SEAMS, Seam
from tests.plugin.conftest import a_batch, good_images, train_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    Started = Callable[..., tuple[StageAugment, Any]]


# -- batch mode -------------------------------------------------------------------------------------------------------


def test_image_mask_and_label_agree(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", synthesis={"masks": {"extent": (0.3, 0.6)}})
    labels = []
    for index in range(4):
        batch = train_step(augment, trainer, model, a_batch(), index)
        changed = (batch.image != good_images()).any(dim=1)
        assert not (changed & ~batch.gt_mask)[batch.gt_label].any()
        assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
        labels += batch.gt_label.tolist()
    assert set(labels) == {True, False}


def test_types_are_those_of_the_batch(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0)
    batch = train_step(augment, trainer, model, a_batch())
    assert type(batch.image) is tv_tensors.Image
    assert type(batch.gt_mask) is tv_tensors.Mask
    assert batch.image.dtype == torch.float32
    assert batch.gt_mask.dtype == batch.gt_label.dtype == torch.bool
    assert batch.gt_mask.shape == (4, 64, 48)


def test_a_classification_batch_gets_masks(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, synthesis={"masks": {"extent": (0.3, 0.6)}})
    batch = train_step(augment, trainer, model, a_batch(gt_mask=None))
    assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
    assert batch.gt_label.all()


def test_a_batch_of_one_and_no_labels_works(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, synthesis={"masks": {"extent": (0.3, 0.6)}})
    assert train_step(augment, trainer, model, a_batch(1, gt_label=None, gt_mask=None)).gt_label.tolist() == [True]


def test_images_anomalous_already_keep_pixels_masks_and_labels(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, synthesis={"masks": {"extent": (0.3, 0.6)}})
    given = a_batch()
    given.gt_label[1] = True
    given.gt_mask[1, :9, :9] = True
    batch = train_step(augment, trainer, model, given)
    assert torch.equal(batch.image[1], good_images()[1])
    assert batch.gt_mask[1].sum() == 81
    assert batch.gt_label.all()


def test_normalised_images_are_refused(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet")
    with pytest.raises(InputError, match="move Normalize"):
        augment.on_train_batch_start(trainer, model, a_batch(image=tv_tensors.Image(good_images() * 4 - 2)), 0)


def test_an_anomaly_that_the_model_would_lose_is_put_back_and_counted(
    started: Started, trainer: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = Seam("batch", survival=lambda _: lambda seen: seen.flatten(1).sum(dim=1) < 0)
    monkeypatch.setitem(SEAMS, "UniNet", blind)
    augment, model = started("UniNet", probability=1.0)
    batch = train_step(augment, trainer, model, a_batch())
    assert not batch.gt_label.any()
    assert torch.equal(batch.image, good_images())
    assert not batch.gt_mask.any()
    assert augment.counts == {"images": 4, "anomalies": 0, "negatives": 0, "put_back": 4, "rejected": 0}


# -- swap mode --------------------------------------------------------------------------------------------------------


def test_the_clean_batch_stays_clean_in_swap_mode(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem", probability=1.0)
    batch = a_batch()
    augment.on_train_batch_start(trainer, model, batch, 0)
    augmented, mask = model.augmenter(batch.image)
    assert torch.equal(batch.image, good_images())
    assert not batch.gt_mask.any()
    assert mask.flatten(1).any(dim=1).all()
    assert not torch.equal(augmented, batch.image)


def test_samples_are_anomalous_negative_or_clean(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem", probability=0.4, negatives=0.5)
    batch = a_batch(12)
    augment.on_train_batch_start(trainer, model, batch, 0)
    augmented, mask = model.augmenter(batch.image)
    changed = (augmented != batch.image).flatten(1).any(dim=1)
    anomalous = mask.flatten(1).any(dim=1)
    assert not (anomalous & ~changed).any()
    assert (changed & ~anomalous).any()
    assert (~changed).any()


def test_dsr_draws_masks_in_its_first_phase_and_images_in_its_second(
    started: Started, trainer: SimpleNamespace
) -> None:
    augment, model = started("Dsr", probability=1.0)
    batch = a_batch()
    augment.on_train_batch_start(trainer, model, batch, 0)
    mask = model.quantized_anomaly_generator.augment_batch(batch.image)
    augment.on_train_batch_start(trainer, model, batch, 0)
    augmented, again = model.perlin_generator(batch.image)
    assert torch.equal(mask, again)  # the same step draws the same masks
    assert torch.equal((augmented != batch.image).any(dim=1, keepdim=True) & (mask == 0), torch.zeros_like(mask) > 0)


def test_foundad_gets_normalised_images_back(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("FoundAD")
    batch = a_batch()
    augment.on_train_batch_start(trainer, model, batch, 0)
    images = good_images()
    augmented = model.cutpaste(images)  # this stand-in has no pre-processor: nothing to undo
    assert (augmented != images).flatten(1).any(dim=1).all()
    assert not isinstance(model.cutpaste, nn.Module)


def test_every_call_in_a_step_paints_anew_and_the_same_again_next_time(
    started: Started, trainer: SimpleNamespace
) -> None:
    augment, model = started("Draem", probability=1.0)
    batch = a_batch()
    rounds = []
    for _ in range(2):
        augment.on_train_batch_start(trainer, model, batch, 3)
        rounds.append([model.augmenter(batch.image)[1] for _ in range(2)])
    assert not torch.equal(rounds[0][0], rounds[0][1])
    assert all(torch.equal(a, b) for a, b in zip(*rounds, strict=True))


@pytest.mark.parametrize("change", [{"global_rank": 1}, {"current_epoch": 1}, {"index": 1}])
def test_rank_epoch_and_batch_change_the_pictures(
    started: Started, trainer: SimpleNamespace, change: dict[str, int]
) -> None:
    augment, model = started("Draem", probability=1.0)
    masks = []
    for state in ({}, change):
        vars(trainer).update({name: value for name, value in state.items() if name != "index"})
        augment.on_train_batch_start(trainer, model, a_batch(), state.get("index", 0))
        masks.append(model.augmenter(good_images())[1])
    assert not torch.equal(*masks)


def test_the_models_generator_answers_between_steps(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem")
    train_step(augment, trainer, model, a_batch())
    assert torch.equal(model.augmenter(good_images())[0], -good_images())
