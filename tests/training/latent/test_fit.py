# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Fitting a latent backbone at toy size: it learns, what is frozen stays, and it resumes."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.errors import BundleError, DataError, InputError, MissingPackageError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, SamplerSettings, SynthesisSettings, validated
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter, ResidualAdapter
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.training.latent import data as latent_data
from anomalib_stage.training.latent import fit as latent_fit
from anomalib_stage.training.latent.fit import fit_latent
from anomalib_stage.training.latent.module import LatentFit
from anomalib_stage.training.latent.settings import LatentFitSettings
from anomalib_stage.training.latent.start import choose_start_vectors
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import load_latent
from anomalib_stage.weights.latent.frozen_base import join_tensors
from anomalib_stage.weights.latent.pretrained import load_pretrained
from tests.tiny_latent import CONTEXT, RESIDUAL, SIDE, tiny_unet, tiny_vae, write_folder

MODULES: list[LatentFit] = []


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures with a dark square each, and two good ones."""
    root, rng = tmp_path_factory.mktemp("defects"), np.random.default_rng(0)
    for folder in ("defects/hole", "masks/hole", "good"):
        (root / folder).mkdir(parents=True)
    for i in range(8):
        picture = cv2.GaussianBlur(rng.integers(90, 160, (48, 48, 3), dtype=np.uint8), (5, 5), 0)
        if i >= 6:
            cv2.imwrite(str(root / "good" / f"{i}.png"), picture)
            continue
        mask = np.zeros((48, 48), np.uint8)
        mask[14 + i : 24 + i, 18:30] = 255
        picture[mask > 0] //= 3
        cv2.imwrite(str(root / "defects" / "hole" / f"{i}.png"), picture)
        cv2.imwrite(str(root / "masks" / "hole" / f"{i}.png"), mask)
    return root


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pretrained") / "tiny")


Fit = Callable[..., StageBundle]


@pytest.fixture
def fit(data: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Fit with small numbers; ``MODULES`` holds the modules that were trained."""
    MODULES.clear()

    class Kept(LatentFit):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            MODULES.append(self)

    monkeypatch.setattr(latent_fit, "LatentFit", Kept)

    def run(**changed: Any) -> StageBundle:
        options = {"adapter": RESIDUAL, "max_steps": 20, "batch_size": 4, "regions": 12, "precision": "fp32", **changed}
        given = {name: options.pop(name) for name in list(options) if name not in LatentFitSettings.model_fields}
        where: dict[str, Any] = {
            "out": tmp_path / "fitted.safetensors",
            "pretrained": str(pretrained),
            "defect_dir": data / "defects",
            "defect_mask_dir": data / "masks",
            "data": data / "good",
            "device": "cpu",
            "settings": validated(LatentFitSettings, **options),
        }
        return StageBundle.load(fit_latent(**(where | given)))

    return run


def average_loss(module: LatentFit, bundle: StageBundle, *, fresh: bool) -> float:
    """Mean loss over steps that were not trained on, of the fitted weights or of those it began with."""
    denoiser, _ = load_latent(bundle)
    if fresh:
        for adapter in (denoiser.aware, denoiser.only):
            if isinstance(adapter, ResidualAdapter):
                torch.nn.init.zeros_(adapter.conv[-1].weight)
                torch.nn.init.zeros_(adapter.conv[-1].bias)
    other = LatentFit(
        denoiser,
        module.regions,
        defects=module.defects,
        schedule=module.schedule,
        settings=module.settings.model_copy(update={"seed": 99, "batch_size": 8}),
    )
    with torch.no_grad():
        return float(np.mean([float(other.compute_loss(step)) for step in range(3)]))


@pytest.mark.parametrize("loss", ["graded", "reference"])
def test_twenty_steps_lower_the_loss_and_leave_the_frozen_weights_alone(loss: str, fit: Fit) -> None:
    bundle = fit(loss=loss, learning_rate=2e-2, gradient_checkpointing=False)
    assert bundle.defects == ("hole", "good")
    assert bundle.manifest.training["steps"] == 20
    state = bundle.tensors
    for prefix, network in (("denoiser.", tiny_unet()), ("codec.", tiny_vae())):
        expected = network.state_dict()
        assert {name for name in state if name.startswith(prefix)} == {prefix + name for name in expected}
        assert all(torch.equal(state[prefix + name], tensor) for name, tensor in expected.items())
    before, after = (average_loss(MODULES[0], bundle, fresh=fresh) for fresh in (True, False))
    assert after < 0.97 * before


def test_the_bundle_paints_and_has_the_masks(fit: Fit) -> None:
    bundle = fit(max_steps=2)
    settings = SynthesisSettings(sampler=SamplerSettings(steps=4), gate=GateSettings(min_visibility=0.0))
    clean = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    pair = StageSynthesizer(bundle, device="cpu", synthesis=settings)(clean, seeds=0)
    assert pair.defect == ["hole", "hole"]
    assert pair.label.all()
    assert any(name.startswith("mask_bank.hole") for name in bundle.tensors)


def test_the_published_arrangement(fit: Fit) -> None:
    bundle = fit(loss="reference", adapter={"name": "published"}, max_steps=2)
    denoiser, _ = load_latent(bundle)
    assert isinstance(denoiser.aware, MaskGuidanceAdapter)
    assert bundle.manifest.training["learning_rate"] == 1.6e-2
    assert bundle.tensors["adapter.aware.conv.1.num_batches_tracked"] == 2


def test_an_inpainting_model(data: Path, tmp_path: Path, fit: Fit) -> None:
    bundle = fit(pretrained=str(write_folder(tmp_path / "inpainting", inpainting=True)), max_steps=2)
    denoiser, _ = load_latent(bundle)
    assert denoiser.inpainting
    assert MODULES[0].regions.surround.shape == MODULES[0].regions.clean.shape
    assert not torch.equal(MODULES[0].regions.surround, MODULES[0].regions.clean)


def test_without_adapters_only_the_vectors_learn(fit: Fit) -> None:
    bundle = fit(adapter={"name": "none"}, max_steps=3, data=None)
    assert bundle.defects == ("hole",)
    start = choose_start_vectors(load_pretrained_tiny(MODULES[0]), ["hole"], words={}, tokens=8, seed=0)["hole"]
    assert bundle.tensors["condition.hole"].shape == (8, CONTEXT)
    assert not torch.equal(bundle.tensors["condition.hole"], start)


def load_pretrained_tiny(module: LatentFit) -> Any:
    return dataclasses.make_dataclass("Model", ["unet", "context"])(module.denoiser.unet, None)


def test_checkpointing_changes_memory_and_not_the_result(fit: Fit) -> None:
    first, second = (fit(gradient_checkpointing=on, max_steps=3) for on in (True, False))
    for name, tensor in first.tensors.items():
        torch.testing.assert_close(tensor, second.tensors[name], atol=1e-5, rtol=1e-4)


def test_a_resumed_fit_goes_on_as_if_it_had_not_stopped(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_fit, "EPOCH_STEPS", 4)
    whole = fit(max_steps=8, loss="reference", learning_rate=1e-3, workdir=tmp_path / "whole")
    fit(max_steps=4, loss="reference", learning_rate=1e-3, workdir=tmp_path / "parts")
    checkpoint = tmp_path / "parts" / "last.ckpt"
    assert checkpoint.stat().st_size < 30e6
    held = torch.load(checkpoint, weights_only=False)["state_dict"]
    assert held
    assert not any(name.startswith("denoiser.unet.") for name in held)
    resumed = fit(max_steps=8, loss="reference", learning_rate=1e-3, workdir=tmp_path / "parts", resume=True)
    assert resumed.digest == whole.digest


def test_regions_are_encoded_once(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    encoded = latent_data._encode

    def counting(*args: Any, **kwargs: Any) -> Any:
        counted.append(1)
        return encoded(*args, **kwargs)

    monkeypatch.setattr(latent_data, "_encode", counting)
    first = fit(max_steps=1, workdir=tmp_path / "work")
    again = fit(max_steps=1, workdir=tmp_path / "work")
    assert len(counted) == 1
    assert first.digest == again.digest
    fit(max_steps=1, workdir=tmp_path / "work", seed=1)
    assert len(counted) == 2
    path = tmp_path / "work" / "latents.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    fit(max_steps=1, workdir=tmp_path / "work", seed=1)
    assert len(counted) == 3
    regions = MODULES[0].regions
    assert regions.clean.shape == (12, 4, SIDE // 2, SIDE // 2)
    assert regions.mask.flatten(1).any(dim=1).all()


def test_vectors_start_from_words_then_from_what_is_known(pretrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_pretrained(pretrained)
    drawn = choose_start_vectors(model, ["a", "b"], words={}, tokens=3, seed=0)
    assert drawn["a"].shape == (3, CONTEXT)
    assert not torch.equal(drawn["a"], drawn["b"])
    caption = dataclasses.replace(model, context=torch.ones(7, CONTEXT))
    known = choose_start_vectors(caption, ["a", "b"], words={}, tokens=3, seed=0)
    assert torch.equal(known["a"], torch.ones(7, CONTEXT))
    assert known["a"] is not known["b"]
    said = {"crack": torch.full((7, CONTEXT), 2.0), "dent": torch.full((7, CONTEXT), 4.0)}
    monkeypatch.setattr(type(model), "encode_word", lambda self, word: said[word])
    some = choose_start_vectors(model, ["a", "b", "c"], words={"a": "crack", "b": "dent"}, tokens=3, seed=0)
    assert [float(some[defect][0, 0]) for defect in "abc"] == [2.0, 4.0, 3.0]
    with pytest.raises(InputError, match="names 'd'; the defects are a"):
        choose_start_vectors(model, ["a"], words={"d": "dent"}, tokens=3, seed=0)


def test_what_cannot_be_done_is_said(fit: Fit) -> None:
    for options, error, message in (
        ({"regions": 0}, InputError, "regions: .*greater than or equal to 1, got 0"),
        ({"lora_rank": -1}, InputError, "lora_rank: .*got -1"),
        ({"max_time": "1h"}, InputError, "--max-time is '1h'; give hours, minutes"),
        ({"resume": True}, DataError, "there is no checkpoint"),
        ({"pretrained": "nowhere"}, BundleError, "no such file or folder"),
        ({"words": {"hole": "hole"}}, BundleError, "no text encoder"),
    ):
        with pytest.raises(error, match=message):
            fit(**options)


def test_each_defect_learns_from_its_own_regions(fit: Fit) -> None:
    """``hole`` comes after ``good`` by name, and before it among the positions of the regions."""
    bundle = fit(max_steps=1)
    module = MODULES[0]
    assert bundle.defects == ("hole", "good")
    real = module.regions.defect == bundle.defects.index("hole")
    for rows, defect in ((real, "hole"), (~real, "good")):
        conditioning = module._build_conditioning(rows.nonzero()[:1, 0])
        assert torch.equal(conditioning.condition[0], module.denoiser.conditions[defect])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rename": {"hole": "a/b"}}, InputError, "the defect name 'a/b' has a slash"),
        ({"rename": {"hloe": "dent"}}, InputError, "--rename names the folder 'hloe'"),
        ({"out": Path(__file__) / "x.safetensors"}, DataError, r"--out .*cannot be written"),
        ({"workdir": Path(__file__)}, InputError, "--workdir .* is a file"),
        ({"region_size": 18}, BundleError, "region_size is 18"),
    ],
)
def test_what_cannot_end_well_is_refused_before_a_region_is_encoded(
    options: dict, error: type[Exception], message: str, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_fit, "load_cached_regions", lambda *args, **more: pytest.fail("regions are encoded"))
    with pytest.raises(error, match=message):
        fit(**options)
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_fit_may_have_another_name_and_another_file(fit: Fit, tmp_path: Path) -> None:
    one = fit(max_steps=2, workdir=tmp_path / "work")
    options = {"max_steps": 2, "workdir": tmp_path / "work", "out": tmp_path / "o" / "other.safetensors"}
    other = fit(rename={"hole": "double"}, resume=True, **options)
    assert other.defects == ("double", "good")
    assert torch.equal(other.tensors["condition.double"], one.tensors["condition.hole"])
    assert torch.equal(other.tensors["prior.double"], one.tensors["prior.hole"])
    with pytest.raises(InputError, match="holds another training"):
        fit(seed=1, resume=True, **options)


def test_a_time_limit_ends_it(fit: Fit) -> None:
    bundle = fit(max_steps=None, max_time="00:00:01")
    assert bundle.manifest.training["steps"] >= 1


def test_low_rank_additions_need_peft(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # as where it is not installed
    with pytest.raises(MissingPackageError, match=r"--lora-rank needs peft; install \"anomalib-stage\[lora\]\""):
        fit(lora_rank=2)


def test_words_need_transformers(pretrained: Path, tmp_path: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pretrained, copy)
    (copy / "text_encoder").mkdir()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"needs transformers; install \"anomalib-stage\[hub\]\""):
        fit(pretrained=str(copy), words={"hole": "hole"})


def test_low_rank_additions_change_the_attention_alone(fit: Fit, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    options = {"lora_rank": 2, "learning_rate": 3e-3}
    bundle = fit(**options)
    expected = tiny_unet().state_dict()
    changed = {name for name, tensor in expected.items() if not torch.equal(bundle.tensors[f"denoiser.{name}"], tensor)}
    assert changed
    assert all("attentions" in name and ".to_" in name for name in changed)
    assert MODULES[0].denoiser.unet.state_dict().keys() == expected.keys()
    before, after = (average_loss(MODULES[0], bundle, fresh=fresh) for fresh in (True, False))
    assert after < before

    slim = fit(**options, slim=True, out=tmp_path / "slim" / "slim.safetensors")
    assert {name.partition(".")[0] for name in slim.tensors} == {
        "adapter",
        "around",
        "condition",
        "lora",
        "mask_bank",
        "prior",
    }
    whole = join_tensors(slim)
    assert whole.keys() == bundle.tensors.keys()
    assert all(torch.equal(whole[name], tensor) for name, tensor in bundle.tensors.items())


def test_low_rank_additions_resume(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    monkeypatch.setattr(latent_fit, "EPOCH_STEPS", 2)
    options = {"lora_rank": 2, "loss": "reference", "learning_rate": 1e-3}
    whole = fit(max_steps=4, workdir=tmp_path / "whole", **options)
    fit(max_steps=2, workdir=tmp_path / "parts", **options)
    held = torch.load(tmp_path / "parts" / "last.ckpt", weights_only=False)["state_dict"]
    assert any(".lora_A." in name for name in held)
    assert not any(name.startswith("denoiser.unet.") and ".lora_" not in name for name in held)
    assert fit(max_steps=4, workdir=tmp_path / "parts", resume=True, **options).digest == whole.digest


def test_the_loss_is_a_function_of_the_step(fit: Fit) -> None:
    fit(max_steps=1)
    module = MODULES[0]
    assert isinstance(module.schedule, Schedule)
    with torch.no_grad():
        first, again, other = module.compute_loss(3), module.compute_loss(3), module.compute_loss(4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
