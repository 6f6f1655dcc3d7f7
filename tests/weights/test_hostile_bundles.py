# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Small files that claim to be huge, lie in numbers or in text: each is refused before anything is built of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from anomalib_stage.cli import main
from anomalib_stage.errors import MOST_BYTES, BundleError, escape_controls
from anomalib_stage.pipeline import region_painter
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.weights.bundle import StageBundle
from tests.fuzz.bundles import use_bundle, write_consistent
from tests.tiny_latent import tiny_latent_bundle
from tests.weights.test_content_digest import change_manifest

Manifest = dict[str, Any]

COMPACT: dict[str, tuple[Callable[[Manifest], object], str]] = {
    "layers": (lambda m: m["denoiser"].update(layers_per_block=4096), r"layers_per_block is 4096; 1 to 12 whole"),
    "widths": (lambda m: m["denoiser"].update(block_out_channels=[4096] * 8), r"weights do not fit the network"),
    "many widths": (lambda m: m["denoiser"].update(block_out_channels=[8] * 5000), r"block_out_channels is \[8"),
    "no list of widths": (lambda m: m["denoiser"].update(block_out_channels=16), r"block_out_channels is 16"),
    "factor": (lambda m: m["denoiser"].update(factor=4096), r"factor is 4096; at most 16"),
    "steps": (lambda m: m["schedule"].update(num_train_timesteps=10**8), r"num_train_timesteps is 100000000"),
    "steps a text": (lambda m: m["schedule"].update(num_train_timesteps="9"), r"num_train_timesteps is '9'"),
    "not a number": (lambda m: m["schedule"].update(beta_end=float("nan")), r"beta_end is nan; a number above 0"),
    "infinite": (lambda m: m["schedule"].update(beta_start=float("inf")), r"beta_start is inf"),
    "betas": (lambda m: m["schedule"].update(trained_betas=[0.1, 0.2]), r"trained_betas is .*a list of 1000"),
    "prediction": (lambda m: m["schedule"].update(prediction_type="sample"), r"prediction_type is 'sample'; 'eps"),
    "region": (lambda m: m.update(region_size=10**6), r"region_size: .*less than or equal to 4096, got 1000000"),
    "defects": (lambda m: m.update(kinds=m["kinds"] * 999), r"kinds: Tuple should have at most 1000 items"),
    "shape": (lambda m: m["kinds"][0].update(shapes=["spiral"]), r"unknown mask shapes spiral; scratch, crack"),
    "depth": (lambda m: m.update(training=json.loads("[" * 200 + "]" * 200)), r"holds more than 32 levels"),
}
LATENT: dict[str, tuple[Callable[[Manifest], object], str]] = {
    "layers": (lambda m: m["denoiser"]["unet"].update(layers_per_block=4096), r"layers_per_block is 4096"),
    "widths": (lambda m: m["denoiser"]["unet"].update(block_out_channels=[8192, 8192]), r"weights do not fit"),
    "text for widths": (lambda m: m["codec"]["vae"].update(block_out_channels="ab"), r"block_out_channels is 'ab'"),
    "adapters": (lambda m: m["denoiser"]["adapter"].update(widths=[64] * 999), r"adapter.widths: .*at most 16 items"),
    "groups of none": (lambda m: m["denoiser"]["unet"].update(norm_num_groups=0), r"weights do not fit"),
    "heads of none": (lambda m: m["denoiser"]["unet"].update(attention_head_dim=0), r"do(es)? not (fit|paint)"),
    "region": (lambda m: m.update(region_size=4096), r"region_size is 4096, 2048 latents a side; at most 256"),
    "scale": (lambda m: m["codec"]["vae"].update(scaling_factor=0.0), r"scaling_factor is 0.0; a number from"),
    "prediction": (lambda m: m["schedule"].update(prediction_type="sample"), r"prediction_type is 'sample'"),
}


@pytest.fixture(scope="module")
def latent_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_latent_bundle().save(tmp_path_factory.mktemp("latent") / "latent.safetensors")


def refuse(source: Path, change: Callable[[Manifest], object], cause: str, out: Path) -> None:
    file, begun = change_manifest(source, change, out), time.monotonic()
    with pytest.raises(BundleError, match=cause) as caught:
        use_bundle(file)
    assert time.monotonic() - begun < 10
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("case", COMPACT)
def test_a_hostile_compact_bundle_is_refused_with_the_field(case: str, tiny_bundle_path: Path, tmp_path: Path) -> None:
    refuse(tiny_bundle_path, *COMPACT[case], tmp_path / "a.safetensors")


@pytest.mark.parametrize("case", LATENT)
def test_a_hostile_latent_bundle_is_refused_with_the_field(case: str, latent_path: Path, tmp_path: Path) -> None:
    refuse(latent_path, *LATENT[case], tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["denoiser.conv_in.bias", "condition.hole", "look.good"])
def test_finite_weights_that_paint_no_finite_pixels_are_refused(
    name: str, tiny_bundle: StageBundle, tmp_path: Path
) -> None:
    tensors = {**tiny_bundle.tensors, name: torch.full_like(tiny_bundle.tensors[name], 3e38)}
    content = tiny_bundle.manifest.model_dump(mode="json", by_alias=True) | {"content_digest": None}
    (tmp_path / "a.safetensors").write_bytes(write_consistent(content, tensors))
    bundle = StageBundle.load(tmp_path / "a.safetensors")
    with pytest.raises(BundleError, match=r"a\.safetensors: .*(not finite|do not paint)"):
        StageSynthesizer(bundle, device="cpu")


def test_pixels_that_are_not_finite_never_come_out(tiny_bundle: StageBundle) -> None:
    synthesizer = StageSynthesizer(tiny_bundle, device="cpu", synthesis={"gate": {"min_visibility": 0.0}})
    codec = synthesizer._painter.backbone.codec
    codec.decode = lambda latents: torch.full_like(type(codec).decode(codec, latents), float("nan"))
    for defect in ("scratch", "good"):
        with pytest.raises(BundleError, match=f"pixels painted of {defect} are not finite"):
            synthesizer(torch.rand(1, 3, 64, 64), defects=defect, seeds=1)


def test_the_packaged_bundle_is_not_tried_and_others_are(
    tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    monkeypatch.setattr(region_painter, "probe_backbone", lambda _, bundle, **__: tried.append(bundle.path))
    for source in ("default", tiny_bundle_path):
        StageSynthesizer(StageBundle.load(source), device="cpu")
    assert tried == [tiny_bundle_path]


def test_a_long_or_coloured_text_of_a_file_is_short_and_plain_in_messages(
    tiny_bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[31mred\n\x00\ud800\u202e" + "x" * 100_000
    for change in (
        lambda m: m.update({evil: evil}),
        lambda m: m["schedule"].update(prediction_type=evil),
        lambda m: m["tensors"].update({f"denoiser.{evil}": {"shape": [1], "dtype": "F32"}}),
        lambda m: m["denoiser"].update({evil: 1}),
    ):
        file = change_manifest(tiny_bundle_path, change, tmp_path / "a.safetensors")
        with pytest.raises(BundleError) as caught:
            use_bundle(file)
        assert len(str(caught.value).encode()) <= MOST_BYTES
        assert str(caught.value).isprintable()
        assert main(["inspect", str(file)]) == 1 or "denoiser" in str(caught.value)
        assert "\x1b" not in capsys.readouterr().err


def test_inspect_shows_control_characters_as_escapes(
    tiny_bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = {"licence": "\x1b[2Jmine\nversion: 9", "\x07name": "y" * 100_000, "\ud800": 1}
    file = change_manifest(tiny_bundle_path, lambda m: m.update(training=notes), tmp_path / "a.safetensors")
    assert main(["inspect", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.isprintable() and len(line) < 2200 for line in lines)
    assert any(r"\x1b[2Jmine\nversion: 9" in line for line in lines)


def test_plain_text_is_left_as_it_is() -> None:
    assert escape_controls("Kratzer (groß) 傷 'a' C:\\x") == "Kratzer (groß) 傷 'a' C:\\x"
    assert str(BundleError("two\nlines")) == "two\nlines"
    begin, end = "a" * 3000, "do this"
    assert str(BundleError(begin + end)).endswith(end)


def test_what_is_loaded_is_its_own_copy(tiny_bundle_path: Path) -> None:
    from anomalib_stage.weights.compact import load_denoiser

    bundle = StageBundle.load(tiny_bundle_path)
    network = load_denoiser(bundle)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(7.0)
    assert all(torch.equal(bundle.tensors[name], tensor) for name, tensor in load_file(tiny_bundle_path).items())
