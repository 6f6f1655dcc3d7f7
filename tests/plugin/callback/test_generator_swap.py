# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A swapped generator answers for the original, owns nothing, and leaves without a trace."""

from __future__ import annotations

import copy
import io
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.callback.generator_swap import swap
from anomalib_stage.plugin.seams import Slot
from tests.plugin.conftest import CutPaste, Draem, Dsr, FoundAD, Generator, Glass, good_images, make_pair


def _red_corner(images: Tensor, *, pixels: bool = True) -> Pair:
    """Paint the corner of the first image white."""
    image, mask = images.clone(), torch.zeros(len(images), 1, *images.shape[2:], dtype=torch.bool)
    mask[0, 0, :4, :4] = True
    if pixels:
        image[0, :, :4, :4] = 1.0
    return make_pair(image, mask)


def _nothing(images: Tensor, *, pixels: bool = True) -> None:
    del images, pixels


def _slot(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name)
    return model


CASES = [
    (Draem, Slot("augmenter")),
    (Glass, Slot("model.augmentor")),
    (Dsr, Slot("perlin_generator")),
    (Dsr, Slot("quantized_anomaly_generator", "mask")),
    (FoundAD, Slot("cutpaste", "normalized")),
]


@pytest.mark.parametrize(("model_type", "slot"), CASES)
def test_restoring_puts_the_very_same_object_back(model_type: type, slot: Slot) -> None:
    model = model_type()
    original = _slot(model, slot.path)
    restore = swap(model, slot, paint=_red_corner)
    assert _slot(model, slot.path) is not original
    restore()
    assert _slot(model, slot.path) is original


def test_an_image_generator_returns_images_and_float_masks() -> None:
    model, images = Draem(), good_images(2)
    swap(model, Slot("augmenter"), paint=_red_corner)
    augmented, mask = model.augmenter(images)
    assert mask.shape == (2, 1, 64, 48)
    assert mask.dtype == images.dtype
    assert mask.flatten(1).sum(dim=1).tolist() == [16.0, 0.0]
    assert torch.equal(augmented[1], images[1])
    assert not torch.equal(augmented[0], images[0])


def test_a_mask_generator_returns_masks_alone() -> None:
    model, images = Dsr(), good_images(2)
    swap(model, Slot("quantized_anomaly_generator", "mask"), paint=_red_corner)
    mask = model.quantized_anomaly_generator.augment_batch(images)
    assert mask.shape == (2, 1, 64, 48)
    assert mask.unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("normalised", [True, False])
def test_normalised_images_are_painted_in_pixel_space_and_normalised_again(*, normalised: bool) -> None:
    model, images = FoundAD(), good_images(2)
    mean, std = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    normalise = v2.Normalize(mean, std) if normalised else v2.Identity()
    model.pre_processor = SimpleNamespace(transform=v2.Compose([v2.Resize((64, 48)), normalise]))
    swap(model, Slot("cutpaste", "normalized"), paint=_red_corner)
    given = normalise(images)
    given[1, 0, 0, 0] = 9.0  # outside [0, 1] once undone, as colour jitter leaves it
    answer = model.cutpaste(given)
    white = normalise(torch.ones_like(images))
    torch.testing.assert_close(answer[0, :, :4, :4], white[0, :, :4, :4])
    assert torch.equal(answer[0, :, 4:], given[0, :, 4:])
    assert torch.equal(answer[1], given[1])


@pytest.mark.parametrize(("model_type", "slot"), CASES)
def test_outside_a_training_step_the_original_answers(model_type: type, slot: Slot) -> None:
    model, images = model_type(), good_images(1)
    ask = "augment_batch" if slot.protocol == "mask" else "__call__"
    expected = getattr(_slot(model, slot.path), ask)(images)
    swap(model, slot, paint=_nothing)
    answer = getattr(_slot(model, slot.path), ask)(images)
    torch.testing.assert_close(answer, expected)


def test_parameters_buffers_and_state_stay_as_they_are() -> None:
    model = Draem()
    before, parameters = copy.deepcopy(model.state_dict()), [id(p) for p in model.parameters()]
    swap(model, Slot("augmenter"), paint=_red_corner)
    assert model.state_dict().keys() == before.keys()
    assert [id(p) for p in model.parameters()] == parameters


def test_a_checkpoint_loads_into_the_original_through_the_stand_in() -> None:
    model = Draem()
    original = model.augmenter
    swap(model, Slot("augmenter"), paint=_red_corner)
    model.load_state_dict({name: torch.full_like(value, 7.0) for name, value in model.state_dict().items()})
    assert original.strength.tolist() == [7.0, 7.0]


def test_settings_of_the_original_can_still_be_read() -> None:
    model = Draem()
    swap(model, Slot("augmenter"), paint=_red_corner)
    assert model.augmenter.probability == 0.75
    with pytest.raises(AttributeError):
        _ = model.augmenter.no_such_setting


def test_the_training_flag_set_meanwhile_reaches_the_original() -> None:
    model = Draem()
    restore = swap(model, Slot("augmenter"), paint=_red_corner)
    model.eval()
    restore()
    assert not model.augmenter.training


@pytest.mark.parametrize(
    ("model_type", "slot", "original"),
    [(Draem, Slot("augmenter"), Generator), (FoundAD, Slot("cutpaste", "normalized"), CutPaste)],
)
def test_a_copy_of_the_model_has_the_original_generator(model_type: type, slot: Slot, original: type) -> None:
    model = model_type()
    swap(model, slot, paint=_red_corner)
    twin = _slot(copy.deepcopy(model), slot.path)
    assert type(twin) is original
    assert twin is not _slot(model, slot.path)


@pytest.mark.parametrize(
    ("model_type", "slot", "original"),
    [(Draem, Slot("augmenter"), Generator), (FoundAD, Slot("cutpaste", "normalized"), CutPaste)],
)
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickled_model_has_the_original_generator_and_no_trace_of_us(
    model_type: type, slot: Slot, original: type, protocol: int
) -> None:
    model = model_type()
    swap(model, slot, paint=_red_corner)
    data = pickle.dumps(model, protocol=protocol)
    assert b"anomalib_stage" not in data
    assert type(_slot(pickle.loads(data), slot.path)) is original


def test_torch_save_of_a_model_in_training_has_no_trace_of_us() -> None:
    model = Draem()
    swap(model, Slot("augmenter"), paint=_red_corner)
    file = io.BytesIO()
    torch.save(model, file)
    assert b"anomalib_stage" not in file.getvalue()
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded.augmenter.strength, model.augmenter.strength)
