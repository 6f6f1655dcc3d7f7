# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``fit`` refuses before the first step what it would refuse after the last, and keeps what it has learnt."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stage.cli import main
from anomalib_stage.errors import BundleError, DataError, InputError
from anomalib_stage.training import fit as fit_module
from anomalib_stage.training.callbacks import held_out
from anomalib_stage.training.callbacks import sample_sheet as sheet
from anomalib_stage.training.fit import fit
from anomalib_stage.training.measure import compare
from anomalib_stage.training.network.module import GradedDiffusion
from anomalib_stage.weights.bundle import StageBundle

AGAIN, GO_ON = "run the same command again", "run the same command with --resume to go on"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "EPOCH_STEPS", 2)
    monkeypatch.setattr(held_out, "REGIONS", (2, 1))
    monkeypatch.setattr(sheet, "COLUMNS", 1)
    monkeypatch.setattr(compare, "EACH", 1)


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: object, **options: object) -> None:
        pytest.fail("a step was taken")

    monkeypatch.setattr(fit_module, "run_trainer", run)


def write(root: Path, defect: str, *, height: int = 64, width: int = 64) -> None:
    rng = np.random.default_rng(0)
    for i in range(2):
        image, mask = rng.integers(90, 110, (height, width, 3), dtype=np.uint8), np.zeros((height, width), np.uint8)
        mask[height // 3 : height // 2, width // 3 + i : width // 2 + i] = 255
        image[mask > 0] = 20
        for folder, picture in (("defects", image), ("masks", mask)):
            (root / folder / defect).mkdir(parents=True, exist_ok=True)
            (root / folder / defect / f"{i}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())


@pytest.fixture
def options(tmp_path: Path, tiny_bundle_path: Path) -> dict:
    write(tmp_path, "rust")
    return {
        "out": tmp_path / "out.safetensors",
        "defect_dir": tmp_path / "defects",
        "defect_mask_dir": tmp_path / "masks",
        "base": str(tiny_bundle_path),
        "max_steps": 3,
        "batch_size": 2,
        "held_out": 0.0,
        "procedural": 0.0,
        "device": "cpu",
    }


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("a" * 74, "has 74 characters"),
        (" rust", "begins with a blank"),
        ("\nrust", "begins with a blank"),
        ("v1.2", "has a dot"),
        ("rendered", "is what fit calls its own rendered defects"),
        (os.fsdecode(b"\xff"), "has a byte that is not UTF-8"),
    ],
)
@pytest.mark.usefixtures("no_steps")
def test_a_folder_that_is_no_name_is_refused_before_the_first_step(
    folder: str, why: str, options: dict, tmp_path: Path
) -> None:
    write(tmp_path, folder)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=rf"the defect name .* {why}.*rename the folder .*or give --rename"):
        fit(**options)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rename": {"rust": "a/b"}}, InputError, r"the defect name 'a/b' has a slash; a defect's name has 1 to 64"),
        ({"rename": {"rust": ""}}, InputError, "the defect name '' is empty"),
        ({"rename": {"rsut": "hole"}}, InputError, r"--rename names the folder 'rsut'; in .*defects there are 'rust'"),
        ({"rename": {"rust": "x"}, "defect_dir": None}, InputError, "there is no --defect-dir"),
        ({"out": Path(__file__) / "out.safetensors"}, DataError, r"--out .*cannot be written \("),
        ({"workdir": Path(__file__)}, InputError, r"--workdir .* is a file; give a folder"),
        ({"max_time": "99999999999:00:00"}, InputError, r"--max-time is '99999999999:00:00'; it must be at most ten"),
        ({"max_time": "9" * 5000 + ":00:00"}, InputError, "--max-time is .*at most ten years"),
        ({"batch_size": 10**12}, InputError, r"--batch-size is 1000000000000; it must be in \[1, 16384\]"),
        ({"split": "[" * 100_000}, DataError, r"--split .* is not a JSON file"),
        ({"split": '{"rust": "0"}'}, DataError, "--split .*'0' is not a list of names"),
        ({"split": '{"rust": [0]}'}, DataError, r"--split .*\[0\] is not a list of names"),
        ({"groups": '{"a":' * 100_000}, DataError, r"--groups .* is not a JSON file"),
        ({"groups": '{"0": ' + "[" * 50_000 + "]" * 50_000 + "}"}, DataError, r"--groups .* is not a JSON file"),
    ],
)
@pytest.mark.usefixtures("no_steps")
def test_what_cannot_end_well_is_refused_before_the_first_step(
    change: dict, error: type[Exception], message: str, options: dict, tmp_path: Path
) -> None:
    for name in {"split", "groups"} & change.keys():
        (tmp_path / "list.json").write_text(change[name])
        change = change | {name: tmp_path / "list.json"}
    with pytest.raises(error, match=message) as caught:
        fit(**options | change)
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "out-fit").exists()


def test_names_of_attributes_are_learnt_and_one_narrow_image_costs_nothing(options: dict, tmp_path: Path) -> None:
    write(tmp_path, "double")
    write(tmp_path, "training", height=80, width=24)
    for i, width in enumerate((64, 20)):
        (tmp_path / "good").mkdir(exist_ok=True)
        picture = np.random.default_rng(i).integers(90, 110, (64, width, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "good" / f"{i}.png"), picture)
    bundle = StageBundle.load(fit(**options, data=tmp_path / "good"))
    assert {"double", "training", "rust"} <= set(bundle.defects)
    assert "1 of 2 good images are narrower than 32 px, one 20 px" in " ".join(bundle.manifest.training["warnings"])
    assert "not_compared" not in bundle.manifest.training["compared"]


def test_a_bundle_that_cannot_be_written_costs_no_step(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = StageBundle.load(fit(**options)).digest
    with pytest.MonkeyPatch.context() as patch:

        def full(self: StageBundle, path: Path) -> Path:
            msg = f"{path}: cannot be written (No space left on device)"
            raise BundleError(msg)

        patch.setattr(StageBundle, "save", full)
        with pytest.raises(BundleError, match=r"No space left on device\); the training is kept in .*-fit: .*--resume"):
            fit(**options)
    steps: list[int] = []
    step = GradedDiffusion.training_step
    monkeypatch.setattr(GradedDiffusion, "training_step", lambda *args: steps.append(1) or step(*args))
    other = {"out": tmp_path / "elsewhere" / "other.safetensors", "workdir": tmp_path / "out-fit", "resume": True}
    assert StageBundle.load(fit(**options | other)).digest == whole
    assert steps == []  # step 3 too is kept, though checkpoints are of every second


def test_a_resumed_fit_may_have_other_names_but_learn_nothing_else(options: dict, tmp_path: Path) -> None:
    write(tmp_path, "dent")
    one = StageBundle.load(fit(**options))
    again = options | {"resume": True}
    for rename, why in (
        ({"rust": "dent"}, "other folders together"),
        ({"rust": "hole"}, "a name that the base knows"),
        ({"rust": "a.b"}, "has a dot"),
    ):
        with pytest.raises(InputError, match=why):
            fit(**again, rename=rename)
    other = StageBundle.load(fit(**again, rename={"rust": "half"}))
    assert set(other.defects) == {*one.defects} - {"rust"} | {"half"}
    assert (other.tensors["condition.half"] == one.tensors["condition.rust"]).all()
    assert (other.tensors["prior.half"] == one.tensors["prior.rust"]).all()
    assert other.manifest.training["learnt"].keys() == {"half", "dent"}
    same = {name for name in one.tensors if "rust" not in name}
    assert all((other.tensors[name] == one.tensors[name]).all() for name in same)
    assert StageBundle.load(fit(**again)).digest == one.digest
    with pytest.raises(InputError, match="holds another training .*seed 0 -> 1"):
        fit(**again, seed=1)

    # a training of 0.1.0 did not note its names, and may have one that no bundle can hold
    facts = json.loads((tmp_path / "out-fit" / "fit.json").read_text())
    assert facts.pop("names") == {"dent": "dent", "rust": "rust"}
    (tmp_path / "out-fit" / "fit.json").write_text(json.dumps(facts))
    assert "half" in StageBundle.load(fit(**again, rename={"rust": "half"})).defects


@pytest.mark.parametrize(
    ("number", "status", "at", "advice"),
    [
        (
            signal.SIGTERM,
            143,
            1,
            "there is no checkpoint yet, the first comes after 2 steps: run the same command again",
        ),
        (signal.SIGTERM, 143, 2, "run the same command with --resume to go on"),
        (signal.SIGINT, 130, 2, "run the same command with --resume to go on"),
    ],
)
def test_an_interrupted_fit_says_what_is_left_to_go_on_from(
    number: int,
    status: int,
    at: int,
    advice: str,
    options: dict,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = GradedDiffusion.training_step

    def interrupted(self: GradedDiffusion, *args: object) -> object:
        if self.global_step == at:
            os.kill(os.getpid(), number)
        return step(self, *args)

    monkeypatch.setattr(GradedDiffusion, "training_step", interrupted)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    try:
        assert main(["fit", *arguments]) == status
    finally:
        signal.signal(signal.SIGINT, before)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == f"anomalib-stage: interrupted; {advice}"
