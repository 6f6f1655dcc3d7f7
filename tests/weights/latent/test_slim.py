# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Slim latent bundles: they paint what whole ones paint, and nothing with another base, or none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from anomalib_stage.cli import main
from anomalib_stage.errors import BundleError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import load_latent
from anomalib_stage.weights.latent.frozen_base import collect_frozen_tensors, format_base_name, write_base
from tests.tiny_latent import tiny_latent_bundle, tiny_unet, tiny_vae, write_folder
from tests.weights.latent.test_bundle import changed, manifest, tensor

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


def additions(rank: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    width = tiny_unet().get_submodule(LAYER).weight.shape[0]
    return {
        f"lora.{LAYER}.down": torch.randn(rank, width, generator=generator),
        f"lora.{LAYER}.up": torch.randn(width, rank, generator=generator),
    }


def slim(folder: Path, name: str = "slim", **options: Any) -> Path:
    return tiny_latent_bundle(base=folder, **options).save(folder / f"{name}.safetensors")


def painted(bundle: StageBundle) -> torch.Tensor:
    settings = SynthesisSettings(sampler=SamplerSettings(steps=4), gate=GateSettings(min_visibility=0.0))
    clean = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    return StageSynthesizer(bundle, device="cpu", synthesis=settings)(clean, defects="scratch", seeds=0).image


@pytest.mark.parametrize("added", [False, True], ids=["plain", "additions"])
def test_a_slim_bundle_paints_what_the_whole_one_paints(added: bool, tmp_path: Path) -> None:
    extra = additions() if added else {}
    whole = StageBundle.load(tiny_latent_bundle(additions=extra).save(tmp_path / "whole" / "whole.safetensors"))
    path = slim(tmp_path, additions=extra)
    bundle = StageBundle.load(path)
    base = tmp_path / format_base_name(bundle.manifest.base_digest)
    assert base.is_file()
    assert not any(name.startswith(("denoiser.", "codec.")) for name in bundle.tensors)
    assert {name for name in bundle.tensors if name.startswith("lora.")} == set(extra)
    assert path.stat().st_size < base.stat().st_size / 4
    assert torch.equal(painted(bundle), painted(whole))
    plain = tiny_latent_bundle()
    assert torch.equal(painted(bundle), painted(plain)) != added


def test_additions_are_added_in_the_precision_of_the_weights(tmp_path: Path) -> None:
    extra = additions()
    denoiser, _ = load_latent(StageBundle.load(slim(tmp_path, additions=extra)))
    expected = tiny_unet().get_submodule(LAYER).weight + extra[f"lora.{LAYER}.up"] @ extra[f"lora.{LAYER}.down"]
    torch.testing.assert_close(denoiser.unet.get_submodule(LAYER).weight, expected)


def test_bundles_share_a_base(tmp_path: Path) -> None:
    slim(tmp_path, "one")
    [base] = tmp_path.glob("base-*")
    stamp = base.stat().st_mtime_ns
    slim(tmp_path, "two", additions=additions())
    assert [*tmp_path.glob("base-*")] == [base]
    assert base.stat().st_mtime_ns == stamp
    base.write_bytes(base.read_bytes()[:1000])
    slim(tmp_path, "three")  # a damaged one is written again
    painted(StageBundle.load(tmp_path / "one.safetensors"))


def test_without_its_base_it_says_where_to_get_it(tmp_path: Path) -> None:
    path = slim(tmp_path / "made")
    alone = tmp_path / "alone" / "slim.safetensors"
    alone.parent.mkdir()
    shutil.copy(path, alone)
    bundle = StageBundle.load(alone)  # inspecting needs no base
    assert dict(bundle.describe())["base"] == bundle.manifest.base_digest
    name = format_base_name(bundle.manifest.base_digest)
    with pytest.raises(BundleError, match=rf"{alone}: its base model is not beside it; put {name}.*store-base"):
        load_latent(bundle)
    other = write_base(collect_frozen_tensors(tiny_unet(seed=5), tiny_vae(), dtype=torch.float32), alone.parent)
    with pytest.raises(BundleError, match=rf"\({format_base_name(other)} is another base\)"):
        load_latent(bundle)
    (alone.parent / format_base_name(other)).rename(alone.parent / name)
    with pytest.raises(BundleError, match=rf"is another base, with digest {other[:12]}.*was fitted on") as caught:
        load_latent(bundle)
    assert str(alone) in str(caught.value)
    (alone.parent / name).write_bytes(b"{}")
    with pytest.raises(BundleError, match="cannot be read"):
        load_latent(bundle)
    with pytest.raises(BundleError, match="not saved"):
        load_latent(StageBundle(bundle.manifest, bundle.tensors))


def test_the_base_can_be_written_from_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = StageBundle.load(slim(tmp_path / "made"))
    write_folder(tmp_path / "model")
    there = tmp_path / "there"
    words = ["store-base", "--pretrained", str(tmp_path / "model"), "--out", str(there), "--precision"]
    assert main([*words, "fp32"]) == 0
    assert capsys.readouterr().out.strip() == str(there / format_base_name(bundle.manifest.base_digest))
    copy = StageBundle.load(bundle.save(there / "slim.safetensors"))
    assert torch.equal(painted(copy), painted(tiny_latent_bundle()))
    assert main([*words, "fp16"]) == 0
    assert capsys.readouterr().out.strip() != str(there / format_base_name(bundle.manifest.base_digest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (manifest(base_digest=None), "no denoiser"),
        (tensor("codec.x", torch.zeros(1)), "holds its autoencoder and its U-Net, or has a base for both"),
        (tensor(f"lora.{LAYER}.down", torch.zeros(3, 4)), "are needed"),
        (tensor("lora.a.down", torch.zeros(3, 4)), "are needed"),
        (tensor("lora.a.alpha", torch.zeros(2, 2)), "are needed"),
    ],
)
def test_a_wrong_slim_bundle_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    made = tiny_latent_bundle(base=tmp_path, additions=additions())
    with pytest.raises(BundleError, match=message):
        StageBundle.load(changed(made, change, tmp_path / "wrong.safetensors"))


def test_a_whole_bundle_has_its_additions_merged(tmp_path: Path) -> None:
    change = tensor(f"lora.{LAYER}.down", torch.zeros(2, 2))
    with pytest.raises(BundleError, match="merge them"):
        StageBundle.load(changed(tiny_latent_bundle(), change, tmp_path / "wrong.safetensors"))


def test_additions_to_what_is_not_there_are_refused(tmp_path: Path) -> None:
    extra = {"lora.nowhere.down": torch.zeros(2, 4), "lora.nowhere.up": torch.zeros(4, 2)}
    bundle = StageBundle.load(slim(tmp_path, additions=extra))
    with pytest.raises(BundleError, match="to nowhere, whose weights are none"):
        load_latent(bundle)
    with pytest.raises(BundleError, match="nowhere"):
        StageSynthesizer(bundle, device="cpu")


def test_the_base_is_plain_tensors(tmp_path: Path) -> None:
    digest = write_base(collect_frozen_tensors(tiny_unet(), tiny_vae(), dtype=torch.float16), tmp_path)
    tensors = load_file(tmp_path / format_base_name(digest))
    assert {name.partition(".")[0] for name in tensors} == {"denoiser", "codec"}
    assert all(found.dtype == torch.float16 for found in tensors.values())
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        write_base({"denoiser.a": torch.zeros(1)}, tmp_path / "file")
