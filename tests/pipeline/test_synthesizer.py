# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageSynthesizer: what every pair promises."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import BundleError, DeviceError, InputError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import MaskSettings, SamplerSettings, SynthesisSettings, build_settings
from anomalib_stage.synthesis.masks.bank import pack_bank
from anomalib_stage.synthesis.masks.mask_measures import measure_mask
from tests.conftest import make_tiny_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib_stage.pipeline.pair import Pair
    from anomalib_stage.weights.bundle import StageBundle

FAST = SynthesisSettings(sampler=SamplerSettings(steps=4))


def _images(count: int, size: tuple[int, int] = (48, 72), seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def synth(tiny_bundle_path: Path) -> StageSynthesizer:
    return StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=FAST)


def test_a_pair_is_what_it_says(synth: StageSynthesizer) -> None:
    images = _images(4)
    pair = synth(images, seeds=7)
    assert pair.image.shape == images.shape
    assert pair.image.dtype == images.dtype
    assert pair.mask.shape == (4, 1, 48, 72)
    assert pair.mask.dtype == torch.bool
    assert pair.label.all()
    assert torch.equal(pair.label, pair.mask.flatten(1).any(dim=1))
    assert torch.equal(pair.mask, pair.painted)
    assert set(pair.defect) <= set(synth.defects)
    assert len(set(pair.seed)) == 4
    assert float(pair.image.min()) >= 0.0
    assert float(pair.image.max()) <= 1.0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    height=st.integers(32, 140),
    width=st.integers(32, 140),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.float64]),
    where=st.sampled_from(["drawn", "pixel", "corner", "row", "all"]),
    seed=st.integers(0, 2**40),
)
def test_outside_the_mask_every_bit_is_the_input(
    synth: StageSynthesizer, height: int, width: int, dtype: torch.dtype, where: str, seed: int
) -> None:
    images = _images(1, (height, width), seed=seed % 1000).to(dtype)
    masks = torch.zeros(1, 1, height, width, dtype=torch.bool)
    rows = {"pixel": (height // 2, width // 3), "corner": (-1, -1), "row": (0, slice(None)), "all": (slice(None),) * 2}
    if where != "drawn":
        masks[(0, 0, *rows[where])] = True
    pair = synth(images, masks=None if where == "drawn" else masks, seeds=[seed])
    outside = ~pair.painted.expand_as(images)
    assert torch.equal(pair.image[outside], images[outside])
    assert pair.image.dtype == dtype
    assert bool(pair.mask.any())
    if where != "drawn":
        assert torch.equal(pair.mask, masks)


def test_the_whole_mask_is_painted_also_when_it_exceeds_a_region(synth: StageSynthesizer) -> None:
    images = _images(1, (150, 700))
    masks = torch.zeros(1, 1, 150, 700, dtype=torch.bool)
    masks[..., 40:60, 20:680] = True  # region of 768 px, beyond the ladder and the image, in tiles
    pair = synth(images, masks=masks, defects="scratch", seeds=[1])
    changed = (pair.image != images).any(dim=1, keepdim=True)
    assert float(changed[masks].float().mean()) > 0.99
    assert not bool(changed[~masks].any())


def test_batch_equals_alone(synth: StageSynthesizer) -> None:
    images, seeds = _images(6), [5, 9, 2, 11, 4, 3]
    together = synth(images, seeds=seeds)
    for i in (0, 3, 5):
        alone = synth(images[i : i + 1], seeds=seeds[i : i + 1])
        assert torch.equal(alone.mask[0], together.mask[i])
        assert alone.defect[0] == together.defect[i]
        torch.testing.assert_close(alone.image[0], together.image[i], rtol=0, atol=1e-5)


def test_permuting_the_batch_permutes_the_result(synth: StageSynthesizer) -> None:
    images, seeds, order = _images(4), [1, 2, 3, 4], [2, 0, 3, 1]
    straight = synth(images, seeds=seeds)
    permuted = synth(images[order], seeds=[seeds[i] for i in order])
    assert torch.equal(permuted.mask, straight.mask[order])
    torch.testing.assert_close(permuted.image, straight.image[order], rtol=0, atol=1e-5)


def test_same_seed_same_pair_other_seed_other_pair(synth: StageSynthesizer) -> None:
    images = _images(2)
    first, again, other = synth(images, seeds=3), synth(images, seeds=3), synth(images, seeds=4)
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, other.image)


def test_the_global_random_streams_are_not_touched(synth: StageSynthesizer, tiny_bundle_path: Path) -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu")
    synth(_images(2), seeds=0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


def test_a_grey_image_stays_grey_and_a_coloured_one_does_not(synth: StageSynthesizer) -> None:
    grey = _images(1)[:, :1].expand(-1, 3, -1, -1)
    pair = synth(torch.cat([grey, _images(1)]), seeds=0)
    inside = pair.painted[:, 0]
    assert torch.equal(pair.image[0, 0], pair.image[0, 1])
    assert torch.equal(pair.image[0, 0], pair.image[0, 2])
    assert not torch.equal(pair.image[0][:, inside[0]], grey[0][:, inside[0]])
    assert not torch.equal(pair.image[1, 0][inside[1]], pair.image[1, 1][inside[1]])


def test_what_is_of_another_material_has_another_colour_where_the_picture_has_colours() -> None:
    noise = 0.02 * torch.randn(8, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    blue = (torch.tensor([0.1, 0.3, 0.7]).view(1, 3, 1, 1) + noise).clamp(0, 1)

    def painted(images: torch.Tensor, foreign: float, defect: str = "contamination") -> list[torch.Tensor]:
        settings = SynthesisSettings(sampler=SamplerSettings(steps=4), any_colour=foreign)
        pair = StageSynthesizer.from_pretrained(device="cpu", synthesis=settings)(images, defects=defect, seeds=3)
        return [image[:, mask[0]].mean(dim=1) for image, mask in zip(pair.image, pair.mask, strict=True) if mask.any()]

    usual, foreign = painted(blue, 0.0), painted(blue, 1.0)
    assert all(colour.argmax() == 2 for colour in usual)
    assert sum(int(colour.argmax() != 2) for colour in foreign) >= len(foreign) // 3
    assert all(colour.argmax() == 2 for colour in painted(blue, 1.0, "dent"))
    grey = (0.5 + noise).expand(-1, 3, -1, -1)
    assert all(torch.equal(a, b) for a, b in zip(painted(grey, 0.0), painted(grey, 1.0), strict=True))


def _striped_bank() -> dict[str, torch.Tensor]:
    """A stain of 48 px that filled its picture's middle, dark and light stripes."""
    stripes = np.where(np.arange(48) % 12 < 6, 40, 215).astype(np.uint8)[None, :, None]
    image, mask = np.broadcast_to(stripes, (48, 48, 3)), np.ones((48, 48), np.bool_)
    entry = measure_mask(np.pad(mask, 24), np.ones((96, 96), np.bool_), np.pad(image, ((24, 24), (24, 24), (0, 0))))
    return {name: torch.from_numpy(array) for name, array in pack_bank({"stain": [entry]}).items()}


def _painted(bundle: StageBundle, clean: torch.Tensor, *, more: dict[str, Any], **arguments: Any) -> Pair:
    changes = {"masks": {"bank_share": 1.0, "foreground": "none"}, "gate": {"min_visibility": 0}, **more}
    synthesizer = StageSynthesizer(bundle, device="cpu", synthesis=build_settings(changes, sampling_steps=4))
    return synthesizer(clean, **{"seeds": 5, "defects": "stain", **arguments})


def _even(count: int, side: int) -> torch.Tensor:
    return (0.5 + 0.02 * torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def test_anomalies_of_fitted_kinds_take_their_detail_from_the_real_ones() -> None:
    bank, clean = _striped_bank(), _even(6, 96)
    fitted = make_tiny_bundle(bank)
    without = make_tiny_bundle({name: array for name, array in bank.items() if not name.startswith("exemplar.")})

    def painted(bundle: StageBundle, share: float, **arguments: Any) -> Pair:
        return _painted(bundle, clean, more={"exemplars": share, **arguments.pop("more", {})}, **arguments)

    taken, made_up = painted(fitted, 1.0), painted(fitted, 0.0)
    assert torch.equal(taken.mask, made_up.mask)
    assert torch.equal(taken.image[~taken.mask.expand(-1, 3, -1, -1)], clean[~taken.mask.expand(-1, 3, -1, -1)])
    spreads = [pair.image[i][:, pair.mask[i, 0]].std() for pair in (taken, made_up) for i in range(len(clean))]
    assert min(spreads[:6]) > max(spreads[6:])
    assert sum(spreads[:6]) > 2 * sum(spreads[6:])  # stripes of the whole range, turned and bent
    assert torch.equal(made_up.image, painted(without, 1.0).image)
    plain = {"softness": (0.0, 0.0), "match_grain": False}  # a real defect has its own edges, and a camera's grain
    assert torch.equal(taken.image, painted(fitted, 1.0, more=plain).image)
    assert not torch.equal(made_up.image, painted(fitted, 0.0, more=plain).image)
    for arguments in ({"defects": "good"}, {"defects": "hole"}, {"masks": taken.mask}):
        assert torch.equal(painted(fitted, 1.0, **arguments).image, painted(fitted, 0.0, **arguments).image)
    published = {"sampler": {"name": "reference"}}  # takes nothing
    one, other = (_painted(fitted, clean[:1], more={"exemplars": share, **published}) for share in (1.0, 0.0))
    assert torch.equal(one.image, other.image)


def test_detail_does_not_depend_on_the_others_in_the_batch() -> None:
    fitted, clean = make_tiny_bundle(_striped_bank()), _even(6, 96)
    arguments = {"defects": ["stain", "good", "hole", "stain", "good", "stain"], "seeds": list(range(6))}
    together = _painted(fitted, clean, more={"exemplars": 0.5}, **arguments)
    for i in range(6):
        alone = {name: values[i : i + 1] for name, values in arguments.items()}
        one = _painted(fitted, clean[i : i + 1], more={"exemplars": 0.5}, **alone)
        assert torch.equal(one.mask[0], together.mask[i])
        torch.testing.assert_close(one.image[0], together.image[i], rtol=0.0, atol=1e-5)  # kernels depend on the batch


def test_even_defects_have_no_detail_also_where_the_region_exceeds_the_image() -> None:
    mask = np.zeros((96, 96), np.bool_)
    mask[2:94, 2:94] = True

    def painted(level: int) -> Pair:
        entry = measure_mask(mask, np.ones_like(mask), np.full((96, 96, 3), level, np.uint8))
        bank = pack_bank({"stain": [entry]})
        fitted = make_tiny_bundle({name: torch.from_numpy(array) for name, array in bank.items()})
        return _painted(fitted, _even(12, 96), more={})

    light, dark = painted(230), painted(30)
    assert torch.equal(light.mask, dark.mask)
    levels = [[pair.image[i][:, pair.mask[i, 0]].mean() for i in range(12)] for pair in (light, dark)]
    alike = [torch.allclose(a, b, atol=0.02) for a, b in zip(*levels, strict=True)]
    assert 2 <= sum(alike) <= 10  # half have a tone drawn for the place
    own = [(float(a), float(b)) for a, b, same in zip(*levels, alike, strict=True) if not same]
    assert np.allclose(own, (230 / 255, 30 / 255), atol=0.12)  # the others that of the real one


def test_good_is_a_negative(synth: StageSynthesizer) -> None:
    images = _images(2)
    pair = synth(images, defects=["good", None], seeds=0)
    assert pair.label.tolist() == [False, True]
    assert not bool(pair.mask[0].any())
    assert bool(pair.painted[0].any())
    assert not torch.equal(pair.image[0], images[0])


def test_reference_sampler_runs_on_a_compact_bundle(tiny_bundle_path: Path) -> None:
    settings = SynthesisSettings(sampler=SamplerSettings(name="reference"))
    reference = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=settings)
    images = _images(1, (48, 48))
    masks = torch.zeros(1, 1, 48, 48, dtype=torch.bool)
    masks[..., 20:24, 20:24] = True
    pair = reference(images, masks=masks, defects="scratch", seeds=[0])
    assert torch.equal(pair.image[~masks.expand_as(images)], images[~masks.expand_as(images)])
    assert bool((pair.image != images)[masks.expand_as(images)].any())


def test_drawn_masks_follow_the_extent_setting(tiny_bundle_path: Path) -> None:
    fixed = SynthesisSettings(sampler=SamplerSettings(steps=4), masks=MaskSettings(extent=(0.2, 0.2)))
    synth = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=fixed)
    pair = synth(_images(6, (100, 100)), seeds=0)
    for mask in pair.mask[:, 0]:
        rows, cols = mask.any(1).nonzero(), mask.any(0).nonzero()
        longest = max(int(rows.max() - rows.min()), int(cols.max() - cols.min())) + 1
        assert 8 <= longest <= 32


BAD = [
    ({"images": torch.rand(3, 48, 48)}, r"\(B, 3, H, W\), got \(3, 48, 48\)"),
    ({"images": torch.rand(1, 1, 48, 48)}, "repeat a grey channel"),
    ({"images": torch.rand(1, 4, 48, 48)}, "drop alpha"),
    ({"images": torch.zeros(1, 3, 48, 48, dtype=torch.uint8)}, "divide uint8 by 255"),
    ({"images": torch.rand(1, 3, 31, 48)}, "at least 32 px"),
    ({"images": torch.full((1, 3, 48, 48), torch.nan)}, "without NaN"),
    ({"images": torch.rand(1, 3, 48, 48) * 255}, r"in \[0, 1\]"),
    ({"images": torch.rand(1, 3, 48, 48) - 0.5}, "undo normalisation"),
    ({"defects": "rust"}, "unknown defect 'rust'; this bundle paints"),
    ({"defects": ["scratch", "crack"]}, "2 defects for 1 images"),
    ({"seeds": [1, 2]}, "2 seeds for 1 images"),
    ({"masks": torch.ones(1, 1, 40, 48, dtype=torch.bool)}, "the size of the images"),
    ({"masks": torch.zeros(1, 1, 48, 48, dtype=torch.bool)}, "mask 0 of the batch is empty"),
    ({"masks": torch.full((1, 1, 48, 48), 0.3)}, "masks must be binary"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_sentence(synth: StageSynthesizer, arguments: dict, message: str) -> None:
    images = arguments.pop("images", torch.rand(1, 3, 48, 48))
    with pytest.raises(InputError, match=message):
        synth(images, **arguments)


@pytest.mark.parametrize(("device", "message"), [("cuda:99", "CUDA devices"), ("warp", "not a device name")])
def test_an_absent_device_is_refused(tiny_bundle_path: Path, device: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        StageSynthesizer.from_pretrained(tiny_bundle_path, device=device)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.safetensors"):
        StageSynthesizer.from_pretrained(tmp_path / "absent.safetensors", device="cpu")
