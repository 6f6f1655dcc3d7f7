# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Latent bundles: they come back whole, and each way one can be wrong is a BundleError."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from anomalib_stage.errors import BundleError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import load_latent
from anomalib_stage.weights.latent.networks import extract_config
from anomalib_stage.weights.latent_manifest import AdapterSpec
from anomalib_stage.weights.manifest_file import METADATA_KEY
from anomalib_stage.weights.tensor_file import compute_digest
from tests.tiny_latent import DEFECT_NAMES, tiny_latent_bundle, tiny_unet, tiny_vae


@pytest.mark.parametrize("name", ["none", "published", "residual"])
def test_networks_come_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    spec = AdapterSpec(name=name, widths=(16,), groups=4)
    made = tiny_latent_bundle(adapter=spec)
    bundle = StageBundle.load(made.save(tmp_path / "b.safetensors"))
    assert bundle.manifest == made.manifest
    denoiser, codec = load_latent(bundle)
    for network, wanted in ((denoiser.unet, tiny_unet()), (codec.vae, tiny_vae())):
        state, expected = network.state_dict(), wanted.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[key], expected[key]) for key in expected)
        assert extract_config(network) == extract_config(wanted)
    assert (denoiser.aware is None) == (name == "none")
    assert not denoiser.training
    assert not any(parameter.requires_grad for parameter in denoiser.parameters())
    assert set(denoiser.conditions) == set(DEFECT_NAMES)


def test_half_precision_is_stored_as_such(tmp_path: Path) -> None:
    bundle = tiny_latent_bundle(dtype=torch.float16)
    assert bundle.tensors["denoiser.conv_in.weight"].dtype == torch.float16
    assert bundle.tensors["condition.good"].dtype == torch.float32
    denoiser, codec = load_latent(bundle, dtype=torch.bfloat16)
    assert denoiser.unet.dtype == torch.bfloat16
    assert codec.vae.dtype == torch.float32


def test_only_what_differs_from_the_defaults_is_written() -> None:
    config = extract_config(tiny_unet())
    assert "time_embedding_type" not in config
    assert config["in_channels"] == 4
    assert json.loads(json.dumps(config)) == config
    assert extract_config(tiny_vae())["scaling_factor"] == 0.18215


Content = dict[str, Any]
Tensors = dict[str, torch.Tensor]


def manifest(**change: Any) -> Callable[[Content, Tensors], None]:
    return lambda content, tensors: content.update(change)


def inside(field: str, **change: Any) -> Callable[[Content, Tensors], None]:
    return lambda content, tensors: content[field].update(change)


def without(prefix: str) -> Callable[[Content, Tensors], None]:
    def apply(content: Content, tensors: Tensors) -> None:
        for name in [name for name in tensors if name.startswith(prefix)]:
            del tensors[name]

    return apply


def tensor(name: str, value: torch.Tensor) -> Callable[[Content, Tensors], None]:
    return lambda content, tensors: tensors.update({name: value})


WRONG = {
    "unknown entry of the denoiser": (inside("denoiser", other=1), "denoiser.other: Extra inputs"),
    "no unet": (lambda c, t: c["denoiser"].pop("unet"), "denoiser.unet: Field required"),
    "unknown adapter": (inside("denoiser", adapter={"name": "lora"}), "denoiser.adapter.name"),
    "unknown entry of the codec": (inside("codec", factor=8), "codec.factor: Extra inputs"),
    "another codec": (inside("codec", name="vq"), "codec.name"),
    "compact codec": (manifest(codec={"name": "pixel", "factor": 2}), "codec.name"),
    "no autoencoder": (without("codec."), "holds its autoencoder"),
    "no adapter tensors": (without("adapter.only."), "there is no tensor adapter.only."),
    "adapter tensors without adapter": (inside("denoiser", adapter={"name": "none"}), "the adapter is 'none'"),
    "flat condition": (tensor("condition.good", torch.zeros(32)), r"condition.good \[32\]"),
    "narrow condition": (tensor("condition.good", torch.zeros(5, 31)), r"condition.good \[5, 31\]"),
    "other number of vectors": (tensor("condition.good", torch.zeros(6, 32)), "must all be"),
    "no vectors": (tensor("condition.good", torch.zeros(0, 32)), "must all be"),
    "odd region": (manifest(region_size=34), "give a multiple"),
}

UNFIT = {
    "unknown argument of the unet": (lambda c, t: c["denoiser"]["unet"].update(depth=3), "depth"),
    "other widths": (lambda c, t: c["denoiser"]["unet"].update(block_out_channels=[16, 16]), "size mismatch"),
    "no such block": (lambda c, t: c["denoiser"]["unet"].update(down_block_types=["A", "B"]), "do not fit"),
    "missing weight": (without("denoiser.conv_in.bias"), "conv_in.bias"),
    "stray weight": (tensor("denoiser.extra", torch.zeros(1)), "extra"),
    "stray weight of the codec": (tensor("codec.extra", torch.zeros(1)), "extra"),
    "channels that nothing has": (
        lambda c, t: (
            c["denoiser"]["unet"].update(in_channels=5),
            t.update({"denoiser.conv_in.weight": torch.zeros(16, 5, 3, 3)}),
        ),
        "4 or 9 in",
    ),
    "groups that do not divide": (lambda c, t: c["denoiser"]["adapter"].update(groups=7), "multiples of the groups"),
    "published adapter of another size": (
        lambda c, t: c["denoiser"].update(adapter={"name": "published"}),
        "do not fit",
    ),
    "latents normalised by tables": (
        lambda c, t: c["codec"]["vae"].update(latents_mean=[0] * 4, latents_std=[1] * 4),
        "latents_mean",
    ),
}


def changed(bundle: StageBundle, change: Callable[[Content, Tensors], Any], path: Path) -> Path:
    """Write a bundle whose manifest and tensors agree, after a change."""
    bundle.save(path)
    tensors = load_file(path)
    content = bundle.manifest.model_dump(mode="json")
    change(content, tensors)
    names = {torch.float32: "F32", torch.int64: "I64"}
    content["tensors"] = {k: {"shape": list(t.shape), "dtype": names[t.dtype]} for k, t in tensors.items()}
    content["digest"] = compute_digest(tensors)
    del content["content_digest"]
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(content)})
    return path


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_manifest_is_refused_by_the_header_alone(case: str, tmp_path: Path) -> None:
    change, message = WRONG[case]
    path = changed(tiny_latent_bundle(), change, tmp_path / "wrong.safetensors")
    with pytest.raises(BundleError, match=message) as caught:
        StageBundle.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("case", UNFIT)
def test_weights_that_do_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    change, message = UNFIT[case]
    path = changed(tiny_latent_bundle(), change, tmp_path / "wrong.safetensors")
    bundle = StageBundle.load(path)
    with pytest.raises(BundleError, match=message) as caught:
        load_latent(bundle)
    assert str(path) in str(caught.value)
    with pytest.raises(BundleError):
        StageSynthesizer(bundle, device="cpu")


def test_a_compact_bundle_is_not_a_latent_one(tiny_bundle: StageBundle) -> None:
    with pytest.raises(BundleError, match="'compact'"):
        load_latent(tiny_bundle)
