# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which model takes anomalies where, and which is refused why."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from anomalib_stage.errors import InputError, UnsupportedModelError
from anomalib_stage.plugin.model_input import to_model_masks
from anomalib_stage.plugin.refusals import REASONS, find_refusal
from anomalib_stage.plugin.seams import SEAMS, Slot, resolve_seam
from tests.plugin.conftest import Draem, Recorder, UniNet


def _named(name: str, *bases: type) -> Recorder:
    return type(name, (*bases, Recorder), {})()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("Supersimplenet", "batch"),
        ("UniNet", "batch"),
        ("Segmenter", "batch"),
        ("Draem", "swap"),
        ("Glass", "swap"),
        ("Dsr", "swap"),
        ("FoundAD", "swap"),
    ],
)
def test_each_supported_model_has_its_mode(name: str, mode: str) -> None:
    assert resolve_seam(_named(name)).mode == mode


def test_no_model_is_both_supported_and_refused() -> None:
    assert not SEAMS.keys() & REASONS.keys()


def test_a_subclass_has_the_seam_of_its_parent() -> None:
    assert resolve_seam(type("MyDraem", (Draem,), {})()) is SEAMS["Draem"]


@pytest.mark.parametrize("name", [name for name in REASONS if name != "MemoryBankMixin"])
def test_one_class_models_are_refused_by_name_with_the_reason(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"cannot be used with {name}: {REASONS[name]}"):
        resolve_seam(_named(name))


def test_a_memory_bank_is_refused_whatever_its_name() -> None:
    bank = type("MemoryBankMixin", (), {})
    with pytest.raises(UnsupportedModelError, match="cannot be used with MyBank: it remembers features"):
        resolve_seam(_named("MyBank", bank))


def test_an_unknown_model_is_refused_with_the_way_out() -> None:
    with pytest.raises(UnsupportedModelError, match=r"Mine.*seam='batch'.*seam='swap:"):
        resolve_seam(_named("Mine"))


def test_a_custom_model_may_ask_for_batch_mode() -> None:
    assert resolve_seam(_named("Mine"), mode="batch").mode == "batch"


def test_batch_mode_would_poison_a_model_with_its_own_generator() -> None:
    with pytest.raises(UnsupportedModelError, match="learned as normal"):
        resolve_seam(Draem(), mode="batch")


@pytest.mark.parametrize("name", ["Mine", "UniNet"])
def test_swap_mode_needs_a_target_when_the_model_has_no_known_generator(name: str) -> None:
    with pytest.raises(InputError, match="seam='swap:<dotted path>'"):
        resolve_seam(_named(name), mode="swap")


def test_a_target_is_swapped_in_a_custom_model() -> None:
    model = _named("Mine")
    model.inner = nn.Module()
    model.inner.maker = nn.Identity()
    assert resolve_seam(model, target="inner.maker").slots == (Slot("inner.maker"),)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("absent", "no attribute 'absent'"),
        ("augmenter.absent", "no attribute"),
        ("augmenter.probability", "not a generator"),
    ],
)
def test_a_wrong_target_is_named(target: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        resolve_seam(Draem(), target=target)


def test_forcing_a_known_one_class_model_still_tells_the_reason() -> None:
    assert find_refusal(_named("Padim", type("MemoryBankMixin", (), {}))) == REASONS["MemoryBankMixin"]
    assert find_refusal(UniNet()) is None


@pytest.mark.parametrize(
    ("name", "probability"), [("Draem", 0.5), ("Dsr", 0.5), ("UniNet", 0.5), ("Glass", 1.0), ("FoundAD", 1.0)]
)
def test_default_probability_is_what_suits_the_model(name: str, probability: float) -> None:
    assert SEAMS[name].probability == probability


def test_uninet_loses_masks_that_its_finest_grid_does_not_sample() -> None:
    masks = torch.zeros(3, 1, 64, 64, dtype=torch.bool)
    masks[0, 0, 8, 8] = True  # a sampled pixel
    masks[1, 0, 9:12, 9:12] = True  # between the samples
    masks[2, 0, 20:30, 20:30] = True
    assert SEAMS["UniNet"].survival(UniNet())(masks).tolist() == [True, False, True]


def test_masks_are_seen_after_the_models_own_resize_and_crop() -> None:
    model = UniNet()
    model.pre_processor = SimpleNamespace(transform=v2.Compose([v2.Resize((64, 64)), v2.CenterCrop(32)]))
    masks = torch.zeros(2, 1, 128, 128, dtype=torch.bool)
    masks[0, 0, :8, :8] = True
    masks[1, 0, 60:70, 60:70] = True
    seen = to_model_masks(model, torch.zeros(2, 3, 128, 128), masks=masks)
    assert seen.shape == (2, 1, 32, 32)
    assert seen.flatten(1).any(dim=1).tolist() == [False, True]


def test_looking_through_a_random_pre_processor_leaves_the_random_stream_alone() -> None:
    model = UniNet()
    model.pre_processor = SimpleNamespace(transform=v2.RandomCrop(32))
    before = torch.get_rng_state()
    to_model_masks(model, torch.zeros(1, 3, 64, 64), masks=torch.ones(1, 1, 64, 64, dtype=torch.bool))
    assert torch.equal(before, torch.get_rng_state())
