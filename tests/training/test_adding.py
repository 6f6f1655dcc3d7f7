# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds that are added to a bundle: what stays to the bit, where they start, and how fast they learn."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE, Schedule
from anomalib_stage.training import fit as fit_module
from anomalib_stage.training.callbacks import held_out
from anomalib_stage.training.callbacks import sample_sheet as sheet
from anomalib_stage.training.data.regions.example import Example
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.training_data import TrainingData
from anomalib_stage.training.fit import fit
from anomalib_stage.training.network.learning_rate import compute_fit_rate
from anomalib_stage.training.network.module import FRESH_RATE, GradedDiffusion
from anomalib_stage.training.network.plan import build_plan
from anomalib_stage.training.network.warm_start import warm_start
from anomalib_stage.weights.bundle import StageBundle
from tests.conftest import TINY_CONFIG, TINY_DEFECTS


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good images, and three of each of two new defects."""
    root = tmp_path_factory.mktemp("kinds")
    rng = np.random.default_rng(0)
    for folder in ("good", *(f"{part}/{defect}" for part in ("defects", "masks") for defect in ("rust", "line"))):
        (root / folder).mkdir(parents=True)
    for i in range(3):
        cv2.imwrite(str(root / "good" / f"{i}.png"), rng.integers(90, 110, (80, 100, 3), dtype=np.uint8))
        for defect, level in (("rust", 20), ("line", 240)):
            image = rng.integers(90, 110, (80, 100, 3), dtype=np.uint8)
            mask = np.zeros((80, 100), dtype=np.uint8)
            mask[20 + 5 * i : 30 + 5 * i, 40:52] = 255
            image[mask > 0] = level
            cv2.imwrite(str(root / "defects" / defect / f"{i}.png"), image)
            cv2.imwrite(str(root / "masks" / defect / f"{i}.png"), mask)
    return root


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "EPOCH_STEPS", 5)
    monkeypatch.setattr(held_out, "REGIONS", (2, 1))
    monkeypatch.setattr(sheet, "COLUMNS", 1)


def _fit(data: Path, defect: str, base: Path, out: Path, **changes: object) -> StageBundle:
    chosen = out.with_suffix(".json")
    chosen.write_text(json.dumps({defect: ["0", "1", "2"]}))
    parts = {
        "data": data / "good",
        "defect_dir": data / "defects",
        "defect_mask_dir": data / "masks",
        "split": chosen,
    }
    return StageBundle.load(fit(out=out, base=str(base), max_steps=4, batch_size=4, device="cpu", **parts, **changes))


@pytest.fixture(scope="module")
def rusty(data: Path, tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[StageBundle, Path]:
    out = tmp_path_factory.mktemp("rusty") / "rusty.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "EPOCH_STEPS", 5)
        patch.setattr(held_out, "REGIONS", (2, 1))
        patch.setattr(sheet, "COLUMNS", 1)
        return _fit(data, "rust", tiny_bundle_path, out), out


@pytest.mark.parametrize("freeze", [False, True])
def test_an_added_kind_leaves_the_others_as_they_were(
    data: Path, rusty: tuple[StageBundle, Path], tmp_path: Path, freeze: bool
) -> None:
    old, base = rusty
    new = _fit(data, "line", base, tmp_path / "both.safetensors", freeze=freeze)
    assert set(new.defects) == {*old.defects, "line"}
    kept = [name for name in old.tensors if not name.startswith("denoiser.")]
    assert {"condition.rust", "mask_bank.rust", "prior.rust", "look.rust", "condition.hole"} <= set(kept)
    changed = {name for name in kept if not torch.equal(new.tensors[name], old.tensors[name])}
    assert changed <= (set() if freeze else {"look.good"})  # the good images are given anew
    network = [name for name in old.tensors if name.startswith("denoiser.")]
    same = [name for name in network if torch.equal(new.tensors[name], old.tensors[name])]
    assert same == network if freeze else len(same) < len(network) / 2
    assert {"mask_bank.line", "prior.line", "look.line"} <= set(new.tensors)
    start = new.manifest.training["learnt"]["line"]["start"]
    assert start in old.defects
    assert start != "good"
    assert not torch.equal(new.tensors["condition.line"], old.tensors[f"condition.{start}"])


def test_nothing_can_be_frozen_without_a_base_or_defects(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    for changes in ({"base": "none", "defect_dir": data / "defects"}, {"base": str(tiny_bundle_path)}):
        with pytest.raises(InputError, match="--freeze learns new defects on top of a base"):
            fit(out=tmp_path / "out.safetensors", data=data / "good", freeze=True, **changes)


def _material(*defects: str) -> TrainingData:
    mask = np.zeros((70, 70), np.bool_)
    mask[20:40, 20:40] = True
    examples = [Example(np.full((70, 70, 3), 90, np.uint8), mask, defect, defect) for defect in defects]
    return TrainingData(
        examples, [], [examples[0].image] if defects else [], RealDefects(examples) if defects else None, False
    )


def test_what_learns_is_what_is_new_and_what_is_given(tiny_bundle: StageBundle) -> None:
    plan = build_plan(tiny_bundle, _material("rust", "scratch"), procedural=0.0, freeze=False)
    assert (plan.learnt, plan.fresh) == ({"rust", "scratch"}, {"rust"})
    assert plan.measured == {"rust", "scratch", "good"}
    frozen = build_plan(tiny_bundle, _material("scratch"), procedural=0.0, freeze=True)
    assert (frozen.learnt, frozen.fresh, frozen.measured) == ({"scratch"}, {"scratch"}, {"scratch"})
    surfaces = build_plan(tiny_bundle, _material(), procedural=0.25, freeze=False)
    assert set(surfaces.shapes) == surfaces.learnt >= set(TINY_DEFECTS)
    anew = build_plan(None, _material("rust"), procedural=0.0, freeze=False)
    assert (anew.learnt, anew.fresh) == ({"rust", "good"}, set())


def test_a_new_kind_starts_at_the_known_kind_with_the_lowest_loss() -> None:
    defects = ["near", "far", "good", "rust"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CompactDenoiser(defects, config=TINY_CONFIG)
    module = _module(network, defects)
    for name in ("near", "far"):
        network.conditions[name].data.normal_(generator=torch.Generator().manual_seed(len(name)))
    network.conditions["far"].data.mul_(40.0)
    real = _material("rust").real
    starts = warm_start(module, real, known=defects[:3], seed=0)
    assert starts.keys() == {"rust"}
    start = starts["rust"]
    assert start in {"near", "far"}
    assert torch.equal(network.conditions["rust"], network.conditions[start])
    # the other way round the other one is found
    near, far = network.conditions["near"].data.clone(), network.conditions["far"].data.clone()
    network.conditions["near"].data.copy_(far)
    network.conditions["far"].data.copy_(near)
    assert warm_start(module, real, known=defects[:3], seed=0)["rust"] == ({"near", "far"} - {start}).pop()
    assert warm_start(module, real, known=["good"], seed=0) == {}


def _module(network: CompactDenoiser, defects: list[str], *, max_steps: int | None = None) -> GradedDiffusion:
    return GradedDiffusion(
        network,
        schedule=Schedule(COMPACT_SCHEDULE),
        defects=defects,
        learning_rate=1e-3,
        max_steps=max_steps,
        fresh=defects[-1:],
    )


def test_the_rate_rises_and_falls_to_zero() -> None:
    steps = np.array([compute_fit_rate(step, step / 2000) for step in range(2001)])
    assert steps[0] == pytest.approx(0.01)
    assert steps.argmax() == 99
    assert steps[100:].max() > 0.99
    assert (np.diff(steps[100:]) < 0).all()
    assert steps[-1] == pytest.approx(0.0, abs=1e-9)
    assert compute_fit_rate(3, 3 / 20) > 0.9  # short trainings warm up in a tenth
    assert compute_fit_rate(5000, 0.0) == 1.0  # no end known


@pytest.mark.parametrize("max_steps", [None, 40, 1000])
def test_the_rate_falls_by_time_or_by_steps_whichever_ends_first(max_steps: int | None) -> None:
    network = CompactDenoiser(["good", "rust"], config=TINY_CONFIG)
    module = _module(network, ["good", "rust"], max_steps=max_steps)
    timer = Timer(duration=timedelta(seconds=100))
    timer.load_state_dict({"time_elapsed": {"train": 50.0}})  # as after a resumption
    trainer = Trainer(max_epochs=-1, logger=False, enable_checkpointing=False, callbacks=[timer])
    module.trainer = trainer
    setup = module.configure_optimizers()
    scheduler, groups = setup["lr_scheduler"]["scheduler"], setup["optimizer"].param_groups
    for _ in range(30):
        setup["optimizer"].step()
        scheduler.step()
    expected = compute_fit_rate(30, max(0.5, 30 / max_steps if max_steps else 0.0))
    assert groups[0]["lr"] == pytest.approx(1e-3 * expected)
    assert groups[1]["lr"] == pytest.approx(FRESH_RATE * 1e-3 * expected)
    assert len(groups[1]["params"]) == 1
    timer.load_state_dict({"time_elapsed": {"train": 100.0}})
    scheduler.step()
    assert groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)
