# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``fit``: what it learns from, exact resume, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.errors import BundleError, DataError, InputError
from anomalib_stage.files.images import read_image
from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import MaskSettings, SynthesisSettings
from anomalib_stage.synthesis.appearance.appearance import APPEARANCE_COLUMNS
from anomalib_stage.synthesis.masks.bank import BANK_PREFIXES
from anomalib_stage.training import fit as fit_module
from anomalib_stage.training.callbacks import held_out
from anomalib_stage.training.callbacks import sample_sheet as sheet
from anomalib_stage.training.fit import fit
from anomalib_stage.training.measure import compare as likeness
from anomalib_stage.training.network.module import GradedDiffusion
from anomalib_stage.training.report import format_report
from anomalib_stage.weights.bundle import StageBundle


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four good images, and three of each of two defects with masks."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for folder in ("good", "defects/rust", "defects/scratch", "masks/rust", "masks/scratch"):
        (root / folder).mkdir(parents=True)
    for i in range(4):
        cv2.imwrite(str(root / "good" / f"{i}.png"), rng.integers(90, 110, (80, 100, 3), dtype=np.uint8))
    for defect, level in (("rust", 20), ("scratch", 240)):
        for i in range(3):
            image = rng.integers(90, 110, (80, 100, 3), dtype=np.uint8)
            mask = np.zeros((80, 100), dtype=np.uint8)
            mask[20 + 5 * i : 30 + 5 * i, 40:52] = 255
            image[mask > 0] = level
            cv2.imwrite(str(root / "defects" / defect / f"{i}.png"), image)
            cv2.imwrite(str(root / "masks" / defect / f"{i}_mask.png"), mask)
    return root


def _arguments(data: Path, base: Path, out: Path) -> dict:
    return {
        "out": out,
        "data": data / "good",
        "defect_dir": data / "defects",
        "defect_mask_dir": data / "masks",
        "base": str(base),
        "max_steps": 12,
        "batch_size": 4,
        "check_steps": 4,
        "device": "cpu",
    }


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "EPOCH_STEPS", 5)
    monkeypatch.setattr(held_out, "REGIONS", (4, 2))
    monkeypatch.setattr(sheet, "COLUMNS", 2)
    monkeypatch.setattr(likeness, "EACH", 2)


def test_a_fitted_bundle_knows_the_new_kind_and_paints_it(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    out = fit(**_arguments(data, tiny_bundle_path, tmp_path / "fitted.safetensors"))
    bundle, base = StageBundle.load(out), StageBundle.load(tiny_bundle_path)
    assert set(bundle.defects) >= {*base.defects, "rust"}
    assert bundle.manifest.base_digest == base.digest
    assert bundle.manifest.training["steps"] == 12
    learnt = bundle.manifest.training["learnt"]
    assert {defect: (row["images"], row["held_out"], row["defects"]) for defect, row in learnt.items()} == {
        "rust": (3, 1, 3),
        "scratch": (3, 1, 3),
    }
    assert learnt["rust"]["pixels"] == [120, 120, 120]
    changed = [name for name in base.tensors if not torch.equal(bundle.floats()[name], base.floats()[name])]
    assert len(changed) > len(base.tensors) / 2
    pair = StageSynthesizer(bundle, device="cpu")(torch.rand(1, 3, 64, 64), defects="rust")
    assert pair.defect == ["rust"]
    assert bool(pair.label.all())
    compared = bundle.manifest.training["compared"]
    assert 1 <= compared["painted"] <= 2 * likeness.EACH
    assert compared["copy_ratio"] > 0
    assert 0 <= compared["copies"] <= 1
    assert compared["gap"] is None  # of the real ones there are too few of each defect
    assert cv2.imread(str(out.with_name("fitted-fit") / "copies.png")).shape[1] > 0


def test_likeness_is_reported_and_copies_are_warned_of() -> None:
    numbers = {"painted": 24, "copy_ratio": 1.05, "copies": 0.04, "gap": 0.8}
    assert format_report({"compared": numbers}) == [
        "copies: 24 painted anomalies are 1.05 times as far from the nearest real one as real ones are from each "
        "other; 4% are nearer than 95 % of those",
        "statistics: 0.80 deviations from those of the real ones, 0 is equal",
    ]
    assert format_report({"compared": {}}) == []
    assert format_report({"compared": {"not_compared": "no good images"}}) == ["copies: not compared; no good images"]
    warned = format_report({"compared": numbers | {"copy_ratio": 0.3, "gap": None}})
    assert len(warned) == 2
    assert warned[1].startswith("warning: the painted anomalies are near copies of the real ones (0.30)")


def test_an_interrupted_fit_resumes_exactly(
    data: Path, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = fit(**_arguments(data, tiny_bundle_path, tmp_path / "straight.safetensors"))
    original = GradedDiffusion.training_step

    def interrupted(self: GradedDiffusion, batch: dict, batch_idx: int) -> torch.Tensor:
        if self.global_step == 8:
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    arguments = _arguments(data, tiny_bundle_path, tmp_path / "resumed.safetensors")
    monkeypatch.setattr(GradedDiffusion, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(**arguments)
    assert not arguments["out"].exists()
    monkeypatch.setattr(GradedDiffusion, "training_step", original)
    resumed = fit(**arguments, resume=True)
    assert StageBundle.load(resumed).digest == StageBundle.load(straight).digest


def test_a_fit_interrupted_after_its_last_step_ends_as_if_it_had_not_been(
    data: Path, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    steps = {"max_steps": 10}  # the last of them has a checkpoint, and no look at the defects held out
    straight = fit(**_arguments(data, tiny_bundle_path, tmp_path / "straight.safetensors") | steps)
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "resumed.safetensors") | steps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "compare_with_real", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(**arguments)
    resumed = StageBundle.load(fit(**arguments, resume=True))
    assert resumed.digest == StageBundle.load(straight).digest
    told = StageBundle.load(straight).manifest.training
    assert resumed.manifest.training["held_out"] == told["held_out"]


def test_only_the_same_fit_is_resumed(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "one.safetensors") | {"max_steps": 5}
    fit(**arguments)
    folder = tmp_path / "one-fit"
    with pytest.raises(InputError, match="one-fit holds another training .there -> here.: seed 0 -> 1;"):
        fit(**arguments, seed=1, resume=True)
    (folder / "fit.json").unlink()
    with pytest.raises(DataError, match=r"fit.json does not say what the checkpoint beside it is of"):
        fit(**arguments, resume=True)

    def fails(*args: object, **options: object) -> None:
        assert not (folder / "last.ckpt").exists()
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "run_trainer", fails)
        with pytest.raises(KeyboardInterrupt):
            fit(**arguments)


def test_a_bundle_says_which_pictures_it_has_seen(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    def seen(base: Path, defect: str) -> list[str]:
        (tmp_path / f"{defect}.json").write_text(json.dumps({defect: ["0", "1", "2"]}))
        arguments = _arguments(data, base, tmp_path / f"{defect}.safetensors") | {"split": tmp_path / f"{defect}.json"}
        return StageBundle.load(fit(**arguments | {"max_steps": 1})).manifest.training["pictures"]

    own = {
        defect: {digest_pictures(read_image(path)) for path in (data / "defects" / defect).iterdir()}
        for defect in ("rust", "scratch")
    }
    assert set(seen(tiny_bundle_path, "rust")) == own["rust"]
    assert seen(tmp_path / "rust.safetensors", "scratch") == sorted(own["rust"] | own["scratch"])


def test_the_loss_falls_and_the_sheet_is_written(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "longer.safetensors")
    arguments |= {"max_steps": 80, "procedural": 0.0, "learning_rate": 3e-3, "sheet_minutes": 0.1}
    fit(**arguments)
    folder = tmp_path / "longer-fit"
    sheets = sorted((folder / "sheets").glob("step-*.png"))
    assert sheets
    assert cv2.imread(str(sheets[-1])).std() > 0
    rows = next((folder / "logs").rglob("metrics.csv")).read_text().splitlines()
    column = rows[0].split(",").index("train/loss")
    losses = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:2])


def test_folders_can_share_a_kind_and_include_selects(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "include.json"
    chosen.write_text(json.dumps({"rust": {"fit": ["0", "2"], "eval": ["1"]}, "scratch": ["1"]}))
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "some.safetensors")
    out = fit(**{**arguments, "max_steps": 2}, split=chosen, rename={"rust": "hole"})
    learnt = StageBundle.load(out).manifest.training["learnt"]
    assert {defect: row["images"] for defect, row in learnt.items()} == {"hole": 2, "scratch": 1}


def test_the_bundle_keeps_the_real_masks_and_draws_like_them(
    data: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "bank.safetensors") | {"max_steps": 1}
    bundle = StageBundle.load(fit(**arguments))
    stored = {name for name in bundle.tensors if name.startswith(("mask_bank.", "prior."))}
    assert stored == {"mask_bank.rust", "prior.rust", "mask_bank.scratch", "prior.scratch"}
    settings = SynthesisSettings(masks=MaskSettings(bank_share=1.0))
    jobs = StageSynthesizer(bundle, device="cpu", synthesis=settings).plan(
        torch.rand(12, 3, 80, 100), defects="rust", seeds=0
    )
    longest = [max(int(job.mask.any(dim=side).sum()) for side in (1, 2)) for job in jobs]
    assert min(longest) >= 7  # theirs are 10 x 12 px
    assert max(longest) <= 24

    # a defect that is learnt anew gets the new masks, the others keep theirs
    again = arguments | {"out": tmp_path / "again.safetensors", "base": str(arguments["out"])}
    refit = StageBundle.load(fit(**again, split=_only(tmp_path, "scratch")))
    assert torch.equal(refit.tensors["prior.rust"], bundle.tensors["prior.rust"])
    assert len(refit.tensors["prior.scratch"]) == 1


def _only(folder: Path, defect: str) -> Path:
    chosen = folder / "only.json"
    chosen.write_text(json.dumps({defect: ["1"]}))
    return chosen


def test_the_bundle_keeps_the_appearances_of_what_it_learnt(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "appearances.safetensors") | {"procedural": 0.0}
    floats = StageBundle.load(fit(**arguments)).floats()
    rows = {
        defect: dict(zip(APPEARANCE_COLUMNS, floats[f"look.{defect}"].T, strict=True)) for defect in ("rust", "scratch")
    }
    assert rows["rust"]["shift_r"].max() < -0.4  # level 20 on 100, of 255
    assert rows["scratch"]["shift_r"].min() > 0.7  # level 240 on 100
    assert rows["rust"]["contrast"].median() < 0.05  # of one level
    assert rows["rust"]["contrast"].max() < 0.25  # but for the border of regions that were rescaled
    base = StageBundle.load(tiny_bundle_path).floats()
    assert torch.equal(floats["look.stain"], base["look.stain"])  # not met in this training


def test_without_a_bank_no_mask_is_kept(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "none.safetensors") | {"max_steps": 1}
    bundle = StageBundle.load(fit(**arguments, no_bank=True))
    assert not [name for name in bundle.tensors if name.startswith(BANK_PREFIXES)]
    arguments["out"] = tmp_path / "with.safetensors"
    again = arguments | {"base": str(fit(**arguments)), "out": tmp_path / "again.safetensors"}
    bundle = StageBundle.load(fit(**again, no_bank=True))
    assert not [name for name in bundle.tensors if name.startswith(BANK_PREFIXES)]  # nor that of the base


def test_the_bundle_keeps_pictures_of_the_defects_unless_told_not_to(
    data: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "with.safetensors") | {"max_steps": 1}
    tensors = StageBundle.load(fit(**arguments)).tensors
    sizes = tensors["prior.rust"][:, :2].prod(dim=1).sum()
    assert len(tensors["exemplar.rust"]) == 3 * int(sizes)
    assert (tensors["exemplar.rust"] == 20).float().mean() > 0.9  # the level of its rust
    arguments |= {"out": tmp_path / "without.safetensors", "no_exemplars": True}
    names = set(StageBundle.load(fit(**arguments)).tensors)
    assert names == {name for name in tensors if not name.startswith("exemplar.")}
    again = arguments | {"base": str(tmp_path / "with.safetensors"), "out": tmp_path / "again.safetensors"}
    assert not [name for name in StageBundle.load(fit(**again)).tensors if name.startswith("exemplar.")]


def test_a_bundle_with_a_malformed_bank_is_refused(data: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "bank.safetensors") | {"max_steps": 1}
    bundle = StageBundle.load(fit(**arguments))
    bundle.tensors["mask_bank.rust"] = bundle.tensors["mask_bank.rust"][:-1]
    bundle.save(tmp_path / "broken.safetensors")
    with pytest.raises(BundleError, match=r"broken\.safetensors: the bank of 'rust' is malformed"):
        StageSynthesizer.from_pretrained(tmp_path / "broken.safetensors", device="cpu")


@pytest.mark.parametrize("kept", [0, 7])
def test_a_bundle_with_malformed_appearances_is_refused(tiny_bundle_path: Path, tmp_path: Path, kept: int) -> None:
    bundle = StageBundle.load(tiny_bundle_path)
    for name in [name for name in bundle.tensors if name.startswith("look.")]:
        table = bundle.tensors.pop(name)
        bundle.tensors |= {name: table[:, :kept].contiguous()} if kept else {}
    bundle.save(tmp_path / "broken.safetensors")
    with pytest.raises(BundleError, match=r"broken\.safetensors: .*look"):
        StageSynthesizer.from_pretrained(tmp_path / "broken.safetensors", device="cpu")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"procedural": 1.5}, InputError, r"--procedural is 1.5; it must be in \[0, 1\]"),
        ({"batch_size": 0}, InputError, "--batch-size is 0"),
        ({"held_out": 0.7}, InputError, r"--held-out is 0.7; it must be in \[0, 0.5\]"),
        ({"check_steps": 0}, InputError, "--check-steps is 0; it must be at least 1"),
        ({"patience": -1}, InputError, "--patience is -1; it must be at least 0"),
        ({"sheet_minutes": 0.0}, InputError, "--sheet-minutes is 0.0; it must be above 0"),
        ({"groups": Path(__file__)}, DataError, "--groups .* is not a JSON file"),
        ({"learning_rate": -1.0}, InputError, "--learning-rate is -1.0; it must be above 0"),
        ({"max_time": "5m"}, InputError, "HH:MM:SS"),
        ({"max_time": "00:00:00"}, InputError, "--max-time is '00:00:00'; it must be above 0"),
        ({"out": Path(__file__).parent}, InputError, "--out .* is a folder; give the file to write"),
        ({"data": Path("absent")}, DataError, "absent: no such folder"),
        ({"defect_mask_dir": None}, DataError, "--defect-dir needs --defect-mask-dir"),
        ({"defect_mask_dir": "good"}, DataError, "4 in good, which is given for defects or masks"),
        ({"split": Path(__file__)}, DataError, "is not a JSON file"),
        ({"data": None, "defect_dir": None, "procedural": 0.0}, DataError, "nothing to train on"),
        ({"base": "absent.safetensors"}, BundleError, "absent.safetensors: no such file"),
        ({"resume": True}, DataError, "there is no checkpoint"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    data: Path, tiny_bundle_path: Path, tmp_path: Path, change: dict, error: type[Exception], message: str
) -> None:
    arguments = _arguments(data, tiny_bundle_path, tmp_path / "out.safetensors") | change
    if arguments["defect_mask_dir"] == "good":
        arguments["defect_mask_dir"] = data / "good"
    with pytest.raises(error, match=message):
        fit(**arguments)
    assert list(tmp_path.iterdir()) == []
