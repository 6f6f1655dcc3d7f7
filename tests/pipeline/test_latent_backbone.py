# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageSynthesizer with a latent bundle, end to end at toy size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from anomalib_stage.pipeline import region_painter as painting
from anomalib_stage.pipeline.jobs import Job
from anomalib_stage.pipeline.latent_backbone import LatentBackbone, native_region
from anomalib_stage.pipeline.region_batch import RegionBatch
from anomalib_stage.pipeline.region_painter import RegionPainter
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, LatentSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.synthesis.diffusion.constraint import unconstrained
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.latent_cache import CachedCodec
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import load_latent
from tests.golden.stream import Stream
from tests.synthesis.diffusion.test_reference import GOLDEN, TOLERANCE, golden_denoiser
from tests.tiny_latent import SIDE, tiny_latent_bundle

CPU = torch.device("cpu")


def synthesizer(bundle: StageBundle, **settings: object) -> StageSynthesizer:
    chosen = {"gate": GateSettings(min_visibility=0.0), "sampler": SamplerSettings(steps=4), **settings}
    return StageSynthesizer(bundle, device="cpu", synthesis=SynthesisSettings(**chosen))


def images(count: int = 3, height: int = 48, width: int = 56) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4


@pytest.fixture(scope="module")
def bundle() -> StageBundle:
    return tiny_latent_bundle()


@pytest.mark.parametrize("options", [{}, {"inpainting": True}, {"sample": True}], ids=["plain", "inpainting", "sample"])
def test_pairs_are_painted_and_the_rest_is_the_input(options: dict[str, bool]) -> None:
    clean = images()
    pair = synthesizer(tiny_latent_bundle(**options))(clean, defects="scratch", seeds=0)
    assert pair.label.all()
    outside = ~pair.mask.expand_as(clean)
    assert torch.equal(pair.image[outside], clean[outside])
    assert (pair.image != clean)[pair.mask.expand_as(clean)].float().mean() > 0.9
    assert pair.image.min() >= 0
    assert pair.image.max() <= 1


def test_a_pair_is_its_own_whatever_the_batch(bundle: StageBundle) -> None:
    synth = synthesizer(bundle)
    together = synth(images(), defects="scratch", seeds=[5, 6, 7])
    alone = synth(images()[1:2], defects="scratch", seeds=[6])
    assert torch.equal(together.mask[1:2], alone.mask)
    torch.testing.assert_close(together.image[1:2], alone.image, atol=1e-5, rtol=0)
    again = synth(images(), defects="scratch", seeds=[5, 6, 7])
    assert torch.equal(together.image, again.image)


def test_global_streams_are_left_alone(bundle: StageBundle) -> None:
    before = torch.get_rng_state()
    synthesizer(bundle)(images(1), seeds=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_good_surface_has_no_label(bundle: StageBundle) -> None:
    pair = synthesizer(bundle)(images(1), defects="good", seeds=0)
    assert not pair.label.any()
    assert pair.painted.any()


def test_masks_larger_than_a_region_are_painted_in_tiles(bundle: StageBundle) -> None:
    clean = images(1, 96, 80)
    masks = torch.zeros(1, 1, 96, 80, dtype=torch.bool)
    masks[..., 5:90, 30:40] = True
    pair = synthesizer(bundle)(clean, defects="scratch", masks=masks, seeds=0)
    assert (pair.image != clean).any(dim=1, keepdim=True)[masks].float().mean() > 0.9
    assert torch.equal(pair.image[~masks.expand_as(clean)], clean[~masks.expand_as(clean)])


@hypothesis_settings(max_examples=60, deadline=None)
@given(data=st.data(), height=st.integers(20, 90), width=st.integers(20, 90), margin=st.integers(2, 12))
def test_regions_hold_the_mask_at_the_native_size(data: st.DataObject, height: int, width: int, margin: int) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    region = native_region(mask, margin=margin, native=SIDE, multiple=2)
    for start, side, low, high, size in (
        (region.top, region.height, top, bottom, height),
        (region.left, region.width, left, right, width),
    ):
        assert start <= low < high <= start + side
        assert side % 2 == 0
        assert side == SIDE or side < high - low + 2 * margin + 2
        assert side > size or 0 <= start <= size - side


def test_the_reference_sampler_is_the_published_loop_here_too(
    bundle: StageBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = load_file(GOLDEN / "trajectory.safetensors")
    stand_in = golden_denoiser(load_file(GOLDEN / "weights.safetensors"))

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.anything = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor, t: torch.Tensor, encoder_hidden_states: torch.Tensor) -> object:
            return type("Output", (), {"sample": stand_in.network(x, t, encoder_hidden_states)})

    settings = SynthesisSettings(sampler=SamplerSettings(name="reference"))
    backbone = LatentBackbone(bundle, device=CPU, settings=settings)
    painter = RegionPainter(backbone, device=CPU, settings=settings)
    backbone.network.unet = Network()
    backbone.network.aware, backbone.network.only = stand_in.aware, stand_in.only
    noise = Stream(24)  # the golden noise in place of our own
    monkeypatch.setattr(painting, "standard_normal", lambda shape, streams: noise((len(streams), *shape)))
    inside = torch.ones(1, 16, 16, dtype=torch.bool)
    jobs = [Job(i, "scratch", 0, inside) for i in range(3)]
    batch = RegionBatch(jobs, [], torch.zeros(3, 3, 16, 16), inside.expand(3, 1, 16, 16), torch.zeros(3, 2, 3))
    conditioning = Conditioning(golden["clean"], golden["mask"].float(), torch.zeros(3, 5, 32))
    with torch.no_grad():
        final = painter._sample(batch, conditioning, unconstrained)
    torch.testing.assert_close(final, golden["final"], rtol=0, atol=TOLERANCE)


def test_the_reference_sampler_paints(bundle: StageBundle) -> None:
    short = StageBundle(
        bundle.manifest.model_copy(update={"schedule": {**bundle.manifest.schedule, "num_train_timesteps": 20}}),
        bundle.tensors,
    )
    clean = images(1)
    pair = synthesizer(short, sampler=SamplerSettings(name="reference"))(clean, defects="scratch", seeds=0)
    assert (pair.image != clean).any()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near(bundle: StageBundle, precision: str) -> None:
    clean = images(1)
    exact = synthesizer(bundle)(clean, defects="scratch", seeds=0)
    half = synthesizer(bundle, latent=LatentSettings(precision=precision))(clean, defects="scratch", seeds=0)
    assert torch.equal(half.mask, exact.mask)
    assert 0 < (half.image - exact.image).abs().max() < 0.05


def test_layout_and_slicing_change_nothing_that_counts(bundle: StageBundle) -> None:
    clean = images(2)
    plain = synthesizer(bundle, latent=LatentSettings(channels_last=False))(clean, defects="scratch", seeds=0)
    sliced = synthesizer(bundle, latent=LatentSettings(slicing=True, batch=1))(clean, defects="scratch", seeds=0)
    torch.testing.assert_close(sliced.image, plain.image, atol=1e-5, rtol=0)


def test_regions_of_several_images_share_a_call(bundle: StageBundle) -> None:
    synth = synthesizer(bundle, latent=LatentSettings(batch=2))
    sizes: list[int] = []
    unet = synth._painter.backbone.network.unet
    unet.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    synth(images(3), defects="scratch", seeds=0)
    assert set(sizes) == {1, 2}
    assert sizes.count(1) == sizes.count(2)


@pytest.mark.parametrize("options", [{}, {"inpainting": True}, {"sample": True}], ids=["plain", "inpainting", "sample"])
def test_an_unchanged_surface_is_encoded_once(options: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    gate = GateSettings(min_visibility=1e9, max_tries=3)  # nothing is ever visible enough: three pictures
    synth = synthesizer(tiny_latent_bundle(**options), gate=gate)
    vae, encoded = synth._painter.backbone.codec.vae, []
    original = vae.encode
    monkeypatch.setattr(vae, "encode", lambda x: encoded.append(len(x)) or original(x))
    clean = images(2, SIDE, SIDE)  # a region is the whole image
    masks = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.bool)
    masks[..., 10:20, 10:20] = True
    first = synth(clean, defects="scratch", masks=masks, seeds=0)
    assert first.rejected.all()
    once = 2 if options.get("inpainting") else 1  # the surface, and the surface without the anomaly
    assert encoded == [1] * 2 * once
    synth(clean, defects="scratch", masks=masks, seeds=0)
    assert len(encoded) == 2 * once
    synth(clean, defects="scratch", masks=masks, seeds=7)  # a sample of the posterior is another with another seed
    assert len(encoded) == 2 * once + 2 * bool(options.get("sample"))


def test_a_kept_encoding_is_the_same_and_few_are_kept(bundle: StageBundle) -> None:
    _, codec = load_latent(bundle)
    cached, pictures = CachedCodec(codec, kept=2), images(3, SIDE, SIDE)
    first = cached.encode(pictures)
    torch.testing.assert_close(first, codec.encode(pictures))
    assert torch.equal(cached.encode(pictures[1:]), first[1:])
    assert len(cached._known) == 2
    assert torch.equal(cached.encode(pictures[:1]), first[:1])


def test_a_compiled_network_paints_the_same(bundle: StageBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the real tracer, without the C++ compiler behind it."""
    compiled: list[str] = []
    original = torch.nn.Module.compile

    def traced(self: torch.nn.Module) -> None:
        compiled.append(type(self).__name__)
        original(self, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    plain = synthesizer(bundle)(images(1), defects="scratch", seeds=0)
    quick = synthesizer(bundle, latent=LatentSettings(compile=True))(images(1), defects="scratch", seeds=0)
    assert compiled == ["UNet2DConditionModel"]
    torch.testing.assert_close(quick.image, plain.image, atol=1e-5, rtol=0)


def test_a_stored_bundle_paints_the_same(bundle: StageBundle, tmp_path: Path) -> None:
    loaded = StageBundle.load(bundle.save(tmp_path / "latent.safetensors"))
    first, second = (synthesizer(b)(images(1), seeds=3) for b in (bundle, loaded))
    assert torch.equal(first.image, second.image)
