# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a batch are painted, and with what."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.plugin.pairs import painter as painter_module
from anomalib_stage.plugin.pairs.choice import NOTHING, Choice, Shares, choose
from anomalib_stage.plugin.pairs.painter import Painter
from anomalib_stage.settings import SamplerSettings, SynthesisSettings
from tests.plugin.conftest import good_images

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def synthesizer(tiny_bundle_path: Path) -> StageSynthesizer:
    fast = SynthesisSettings(sampler=SamplerSettings(steps=4))
    return StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=fast)


def _painter(synthesizer: StageSynthesizer, **changes: Any) -> Painter:
    visible = changes.pop("visible", None)
    return Painter(synthesizer, shares=Shares(**({"probability": 0.5, "negatives": 0.5} | changes)), visible=visible)


def _same(first: Pair, second: Pair) -> bool:
    pairs = ((first.image, second.image), (first.mask, second.mask), (first.painted, second.painted))
    return all(torch.equal(a, b) for a, b in pairs)


def test_every_image_is_painted_at_probability_one(synthesizer: StageSynthesizer) -> None:
    pair = _painter(synthesizer, probability=1.0)(good_images(5), seeds=range(5))
    assert pair.label.all()
    assert not pair.negative.any()
    assert torch.equal(pair.mask, pair.painted)


def test_negatives_are_painted_but_not_anomalous(synthesizer: StageSynthesizer) -> None:
    images = good_images(4)
    pair = _painter(synthesizer, probability=0.0, negatives=1.0)(images, seeds=range(4))
    assert pair.negative.all()
    assert not pair.mask.any()
    assert not torch.equal(pair.image, images)


def test_nothing_is_painted_at_probability_zero(synthesizer: StageSynthesizer) -> None:
    images = good_images(4)
    pair = _painter(synthesizer, probability=0.0, negatives=0.0)(images, seeds=range(4))
    assert torch.equal(pair.image, images)
    assert not pair.painted.any()


def test_only_painted_pixels_differ_to_the_bit(synthesizer: StageSynthesizer) -> None:
    images = good_images(8)
    pair = _painter(synthesizer)(images, seeds=range(8))
    outside = ~pair.painted.expand_as(images)
    assert pair.label.any()
    assert pair.negative.any()
    assert not (pair.label | pair.negative).all()
    assert torch.equal(pair.image[outside], images[outside])


def test_skipped_images_are_left_alone_and_do_not_change_the_others(synthesizer: StageSynthesizer) -> None:
    painter, images, seeds = _painter(synthesizer, probability=1.0), good_images(3), [5, 6, 7]
    choices = [choose(seed, painter.shares) for seed in seeds]
    part = painter.paint(images, painter.plan(images, [choices[0], NOTHING, choices[2]], seeds=seeds))
    full = painter(images, seeds=seeds)
    assert torch.equal(part.image[1], images[1])
    assert not part.painted[1].any()
    assert torch.equal(part.mask[[0, 2]], full.mask[[0, 2]])
    torch.testing.assert_close(part.image[[0, 2]], full.image[[0, 2]], atol=1e-5, rtol=0)


def test_pairs_of_a_bank_are_none_of_its_business(synthesizer: StageSynthesizer) -> None:
    painter, images = _painter(synthesizer), good_images(2)
    assert painter.plan(images, [Choice("bank"), NOTHING], seeds=[1, 2]) == []
    assert torch.equal(painter.paint(images, []).image, images)


def test_a_plan_has_the_masks_that_are_painted(synthesizer: StageSynthesizer) -> None:
    painter, images = _painter(synthesizer), good_images(8)
    jobs = painter.plan(images, [choose(seed, painter.shares) for seed in range(8)], seeds=range(8))
    pair = painter.paint(images, jobs)
    for job in jobs:
        assert torch.equal(pair.painted[job.index], job.mask)
    assert pair.painted.flatten(1).any(dim=1).sum() == len(jobs)


def test_the_same_seeds_paint_the_same_batch_and_others_another(synthesizer: StageSynthesizer) -> None:
    painter, images = _painter(synthesizer, probability=1.0), good_images(3)
    assert _same(painter(images, seeds=[1, 2, 3]), painter(images, seeds=[1, 2, 3]))
    assert not _same(painter(images, seeds=[1, 2, 3]), painter(images, seeds=[4, 5, 6]))


def test_global_random_streams_are_neither_read_nor_moved(synthesizer: StageSynthesizer) -> None:
    painter, images = _painter(synthesizer, probability=1.0), good_images(2)
    first = painter(images, seeds=[1, 2])
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the user's stream
    random.seed(99)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert _same(first, painter(images, seeds=[1, 2]))
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(states[0], after[0])
    assert states[1:] == after[1:]


def test_autocast_of_the_training_does_not_change_the_pictures(synthesizer: StageSynthesizer) -> None:
    painter, images = _painter(synthesizer, probability=1.0), good_images(2)
    plain = painter(images, seeds=[1, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert _same(plain, painter(images, seeds=[1, 2]))


def test_the_result_is_a_plain_tensor_that_autograd_may_use(synthesizer: StageSynthesizer) -> None:
    pair = _painter(synthesizer, probability=1.0)(tv_tensors.Image(good_images(2)), seeds=[1, 2])
    assert type(pair.image) is torch.Tensor
    assert not pair.image.is_inference()
    weight = torch.ones(1, requires_grad=True)
    (pair.image * weight).sum().backward()
    assert weight.grad is not None


def test_an_unknown_defect_is_refused_with_those_that_exist(synthesizer: StageSynthesizer) -> None:
    with pytest.raises(InputError, match=f"does not paint rust; it paints {synthesizer.defects[0]}"):
        _painter(synthesizer, defects=[synthesizer.defects[0], "rust"])


def test_a_bundle_without_good_surface_paints_no_negatives_and_says_so(
    synthesizer: StageSynthesizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(synthesizer.bundle), "defects", synthesizer.defects)
    with caplog.at_level(logging.WARNING):
        painter = _painter(synthesizer, negatives=0.5)
    assert painter.shares.negatives == 0.0
    assert "no negatives" in caplog.text


def test_masks_that_the_model_would_lose_are_drawn_anew(synthesizer: StageSynthesizer) -> None:
    images, seeds = good_images(8), range(8)
    plain = _painter(synthesizer, probability=1.0)(images, seeds=seeds)
    smallest = plain.mask.flatten(1).sum(dim=1).sort().values[:3]

    def large(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        del images
        return masks.flatten(1).sum(dim=1) > smallest[-1]

    picky = _painter(synthesizer, probability=1.0, visible=large)(images, seeds=seeds)
    small = ~large(images, plain.mask)
    assert large(images, picky.mask).all()
    assert picky.label.all()
    assert small.any()
    assert torch.equal(picky.mask[~small], plain.mask[~small])


def test_images_stay_clean_when_no_mask_would_be_seen(synthesizer: StageSynthesizer) -> None:
    def only_first(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        del masks
        return images.flatten(1).mean(dim=1) > 0.9

    images = good_images(3)
    images[0] = 0.95
    pair = _painter(synthesizer, probability=1.0, visible=only_first)(images, seeds=range(3))
    assert pair.label.tolist() == [True, False, False]
    assert torch.equal(pair.image[1:], images[1:])
    assert not pair.painted[1:].any()


def test_negatives_need_not_be_seen(synthesizer: StageSynthesizer) -> None:
    nothing = _painter(synthesizer, probability=0.0, negatives=1.0, visible=lambda images, _: images[:, 0, 0, 0] < 0)
    assert nothing(good_images(2), seeds=[1, 2]).negative.all()


def test_images_on_a_device_that_is_not_painted_on_are_fetched(
    synthesizer: StageSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter, images, fetched = _painter(synthesizer, probability=1.0), good_images(2), []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: fetched.append(tuple(tensor.shape)) or tensor)
    expected = painter(images, seeds=range(2))
    before = fetched.count((2, 3, 64, 48))
    monkeypatch.setattr(painter_module, "KINDS", ("cuda",))  # as if the CPU's images lay on MPS
    assert _same(painter(images, seeds=range(2)), expected)
    assert fetched.count((2, 3, 64, 48)) == 2 * before + 2  # to plan and to paint


def test_a_painted_batch_comes_back_to_where_its_images_are(synthesizer: StageSynthesizer) -> None:
    pair = _painter(synthesizer, probability=1.0)(good_images(2), seeds=range(2))
    assert painter_module._send(pair, torch.device("cpu")) is pair
    sent = painter_module._send(pair, torch.device("meta"))  # any other device will do
    tensors = [value for value in vars(sent).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 6
    assert {str(tensor.device) for tensor in tensors} == {"meta"}
    assert sent.defect == pair.defect
