# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What version 0.1.0 left on a disk goes on: bundles, half-done jobs, banks and checkpoints (``tests/stored``).

The files were written by ``tests/stored/make_stored.py``. Masks, labels, defects and sources are those of 0.1.0 to the
bit; pictures, painted in float32, within 2 of 255 levels: their last bit depends on processor and torch.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torchvision import tv_tensors

from anomalib_stage import StageBundle, StageSynthesizer, StageTransform
from anomalib_stage.cli import main

STORED = Path(__file__).parent / "stored"
JOB = ["--data=good", "--weights=fitted.safetensors", "--count=8", "--batch-size=1", "--steps=4", "--seed=5"]
JOB += ["--min-visibility=0", "--device=cpu", "--defects", "rust", "scratch", "stain"]
FIT = ["--base=tiny.safetensors", "--defects=defects", "--masks=masks", "--normal=good", "--batch-size=2", "--seed=3"]
FIT += ["--check-steps=50", "--patience=0", "--procedural=0.25", "--device=cpu", "--max-steps=104"]
LEVELS = 2
BITS = ("mask_bank.", "prior.", "around.", "exemplar.")


def cases() -> dict[str, dict[str, Any]]:
    with safe_open(STORED / "expected.safetensors", framework="pt") as stream:
        told: dict[str, dict[str, Any]] = json.loads(stream.metadata()["cases"])
    return told


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of everything, in another place than it was written in, where the commands run."""
    shutil.copytree(STORED, tmp_path / "disk")
    monkeypatch.chdir(tmp_path / "disk")
    return tmp_path / "disk"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in what JSON holds, by name."""
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in inner:
            yield from leaves(part, f"{name}.{key}")
    elif isinstance(value, (int, float)):
        yield name, float(value)


def close(one: Any, other: Any, *, levels: float = LEVELS) -> bool:
    return bool(np.abs(np.asarray(one).astype(float) - np.asarray(other).astype(float)).max() <= levels)


# -- bundles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "fitted", "half_fit", "latent"])
def test_a_bundle_is_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(STORED / f"{name}.safetensors")]) == 0
    assert StageBundle.load(STORED / f"{name}.safetensors").digest in capsys.readouterr().out


@pytest.mark.parametrize("name", cases())
def test_a_bundle_paints_what_it_painted(name: str) -> None:
    case, stored = cases()[name], load_file(STORED / "expected.safetensors")
    bundle = StageBundle.load(STORED / f"{case['bundle']}.safetensors")
    settings = type(StageSynthesizer(bundle, device="cpu").settings)(
        sampler={"name": "graded", "steps": 4},
        gate={"min_visibility": 0.0},
        masks={"extent": case["extent"]} if "extent" in case else {},
    )
    count = len(case["defects"])
    pair = StageSynthesizer(bundle, device="cpu", synthesis=settings)(
        stored["clean"][:count].float() / 255.0,
        defects=case["defects"],
        seeds=case["seeds"],
        masks=stored["given"][:count] if case.get("masks") else None,
    )
    assert pair.defect == case["defect"]
    assert pair.seed == case["seed"]
    for field in ("mask", "label", "painted", "rejected"):
        assert torch.equal(getattr(pair, field), stored[f"{name}.{field}"]), field
    assert close(pair.image * 255.0, stored[f"{name}.image"], levels=LEVELS + 0.5)  # stored ones are rounded
    assert torch.equal(pair.label, pair.mask.flatten(1).any(dim=1))


# -- jobs --------------------------------------------------------------------------------------------------------------

SAME = ("index", "image", "mask", "source", "source_sha256", "given_mask", "kind", "seed", "base_seed", "steps")
SAME = (*SAME, "bundle", "mask_area")


def test_a_half_done_job_goes_on(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job, whole = disk / "half_job", lines(disk / "bank" / "manifest.jsonl")
    finished = {row["index"]: row for shard in job.glob("manifest.*.jsonl") for row in lines(shard)}
    kept = {name: (job / name).read_bytes() for row in finished.values() for name in (row["image"], row["mask"])}
    assert 0 < len(finished) < len(whole)
    assert main(["verify", "half_job"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[0])["remaining"] == len(whole) - len(finished)
    assert main(["pregenerate", *JOB, "--out=half_job"]) == 0
    assert json.loads(capsys.readouterr().out)["painted"] == len(whole) - len(finished)
    assert main(["verify", "half_job"]) == 0
    assert {name: (job / name).read_bytes() for name in kept} == kept
    rows = lines(job / "manifest.jsonl")
    assert [finished[row["index"]] for row in rows if row["index"] in finished] == list(
        dict(sorted(finished.items())).values()
    )
    assert [[row[name] for name in SAME] for row in rows] == [[row[name] for name in SAME] for row in whole]
    for row in whole:
        here, there = (cv2.imread(str(disk / folder / row["mask"]), -1) for folder in ("half_job", "bank"))
        assert np.array_equal(here, there)
        here, there = (cv2.imread(str(disk / folder / row["image"]), -1) for folder in ("half_job", "bank"))
        assert close(here, there)
    assert not list(job.glob("manifest.*.jsonl"))
    assert (job / "samples.csv").read_bytes() == (disk / "bank" / "samples.csv").read_bytes()


def test_a_finished_job_is_whole_and_has_nothing_left_to_paint(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in (disk / "bank").rglob("*") if path.is_file()}
    assert main(["verify", "bank"]) == 0
    capsys.readouterr()
    assert main(["pregenerate", *JOB, "--out=bank"]) == 0
    assert json.loads(capsys.readouterr().out)["painted"] == 0
    assert {path: path.read_bytes() for path in (disk / "bank").rglob("*") if path.is_file()} == before


def test_a_bank_gives_its_pairs() -> None:
    bank = STORED / "bank"
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for row in lines(bank / "manifest.jsonl"):
        image, mask = cv2.imread(str(bank / row["image"]))[..., ::-1], cv2.imread(str(bank / row["mask"]), -1)
        pairs.setdefault(row["kind"], []).append((image, mask > 0))
    assert sum(map(len, pairs.values())) == 8
    for defect, known in pairs.items():
        transform, size = StageTransform(bank=bank, probability=1.0, defects=[defect]), known[0][0].shape[:2]
        transform.set_epoch(0)
        found = set()
        for seed in range(12):
            clean = tv_tensors.Image(torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)))
            image, mask = transform(clean, tv_tensors.Mask(torch.zeros(size, dtype=torch.uint8)))
            pixels = (image * 255.0).round().byte().permute(1, 2, 0).numpy()
            found |= {
                i
                for i, (there, where) in enumerate(known)
                if there.shape == pixels.shape and np.array_equal(pixels, there) and np.array_equal(mask.bool(), where)
            }
        assert found == {i for i, (there, _) in enumerate(known) if there.shape[:2] == size}, defect


# -- checkpoints -------------------------------------------------------------------------------------------------------


def test_a_stopped_fit_resumes(disk: Path) -> None:
    (disk / "half_fit" / "last.checkpoint").rename(disk / "half_fit" / "last.ckpt")  # .gitignore leaves out *.ckpt
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert main(["fit", *FIT, "--out=resumed.safetensors", "--workdir=half_fit", "--resume"]) == 0
    assert not [str(line.message) for line in said if "callbacks used to create" in str(line.message)]  # state is lost
    resumed, straight = StageBundle.load("resumed.safetensors"), StageBundle.load("half_fit.safetensors")
    assert resumed.defects == straight.defects
    assert set(resumed.tensors) == set(straight.tensors)
    for name, tensor in straight.tensors.items():
        if name.startswith(BITS):
            assert torch.equal(resumed.tensors[name], tensor), name
        else:
            torch.testing.assert_close(resumed.tensors[name], tensor, rtol=1e-2, atol=2e-3, msg=name)
    told, known = resumed.manifest.training, straight.manifest.training
    assert told["steps"] == known["steps"] == 104
    # losses before the first step are in the checkpoint; those after the last one follow from the averaged weights
    assert told["held_out"].keys() == known["held_out"].keys()
    losses, stored = (dict(leaves(training["held_out"])) for training in (told, known))
    assert losses == pytest.approx(stored, rel=5e-4)
