# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage benchmark`` on a small data set: fair pools, honest scores, and nothing done twice."""

from __future__ import annotations

import csv
import json
import logging
import math
import random
import runpy
import shutil
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.evaluation.dataset import BenchmarkData, load_data
from anomalib_stage.evaluation.detection.report import markdown_table, paired_differences
from anomalib_stage.evaluation.detection.run import benchmark
from anomalib_stage.evaluation.detection.scores import SCORES, score_defects
from anomalib_stage.evaluation.detection.source_names import split_source
from anomalib_stage.evaluation.detection.sources.built_in import BUILT_IN
from anomalib_stage.evaluation.detection.sources.painted import paint_set
from anomalib_stage.evaluation.detection.train import map_anomalies, train
from anomalib_stage.evaluation.detection.training_mix import TrainingMix
from anomalib_stage.evaluation.picture_set import PictureSet, resize
from anomalib_stage.files.images import read_image
from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.weights.bundle import StageBundle

SIZE = 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good images to train on, three for the test, and four of each of two defects, half to fit."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(0)
    for split, count in (("train/good", 6), ("test/good", 3), ("test/dark", 4), ("test/bright", 4)):
        (folder / split).mkdir(parents=True)
        defect = split.split("/")[1]
        for i in range(count):
            image = rng.integers(90, 130, (80, 96, 3), dtype=np.uint8)
            if defect != "good":
                mask = np.zeros((80, 96), dtype=np.uint8)
                mask[30 + 4 * i : 46 + 4 * i, 40:60] = 255
                image[mask > 0] = 20 if defect == "dark" else 235
                (folder / "ground_truth" / defect).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / "ground_truth" / defect / f"{i}_mask.png"), mask)
            cv2.imwrite(str(folder / split / f"{i}.png"), image)
    split = {defect: {"fit": ["0", "1"], "eval": ["2", "3"]} for defect in ("dark", "bright")}
    (folder / "few_shot.json").write_text(json.dumps(split))
    return folder


@pytest.fixture(scope="module")
def data(root: Path) -> BenchmarkData:
    return load_data(root, split=root / "few_shot.json", size=SIZE)


def test_the_split_is_kept(data: BenchmarkData) -> None:
    assert {defect: len(examples) for defect, examples in data.fit.items()} == {"dark": 2, "bright": 2}
    assert data.test["dark"].images.shape == (2, SIZE, SIZE, 3)
    assert not data.test_good.masks.any()
    assert data.test["bright"].images[data.test["bright"].masks].mean() > 200


@pytest.mark.parametrize(
    ("split", "complaint"),
    [
        ({"dark": {"fit": ["0"], "eval": ["0"]}}, "'0' is in fit and in eval"),
        ({"dark": {"fit": ["0"], "eval": []}}, "eval is empty"),
        ({"dark": {"fit": ["0"], "eval": ["77"]}}, "split.json: 1 stems of defect 'dark' are not in .*test/dark: 77"),
        ({"grey": {"fit": ["0"], "eval": ["1"]}}, "split.json: defect 'grey' has no folder .*test/grey"),
        ({"dark": ["0"]}, "not a split"),
    ],
)
def test_a_split_that_would_cheat_is_refused(root: Path, tmp_path: Path, split: dict, complaint: str) -> None:
    file = tmp_path / "split.json"
    file.write_text(json.dumps(split))
    with pytest.raises(DataError, match=complaint):
        load_data(root, split=file, size=SIZE)


def test_a_stem_that_two_pictures_have_is_refused(root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root, tmp_path / "set")
    (folder / "test" / "dark" / "0.bmp").write_bytes((folder / "test" / "dark" / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"few_shot\.json: '0' could be 2 pictures in .*test/dark; rename all but one"):
        load_data(folder, split=folder / "few_shot.json", size=SIZE)


def test_a_mask_without_a_picture_is_said_once(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = shutil.copytree(root, tmp_path / "set")
    masks = sorted((folder / "ground_truth" / "dark").iterdir())
    shutil.copy(masks[0], masks[0].with_name("more_mask.png"))
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        load_data(folder, split=folder / "few_shot.json", size=SIZE)
    assert caplog.text.count("1 masks are of no picture, such as dark/more_mask.png") == 1


def test_a_set_without_masks_is_refused_in_the_words_of_a_benchmark(root: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(root / part)
    with pytest.raises(DataError, match="ground_truth: no such folder; --data needs train/good"):
        load_data(tmp_path, split=root / "few_shot.json", size=SIZE)


def test_a_small_mask_does_not_vanish_when_the_picture_is_resized() -> None:
    mask = np.zeros((256, 256), dtype=np.bool_)
    mask[100, 100] = True
    assert resize(np.zeros((256, 256, 3), np.uint8), mask, size=64)[1].sum() == 1


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_source_changes_pixels_inside_its_masks_alone(data: BenchmarkData, name: str) -> None:
    state = torch.random.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    made, again = (BUILT_IN[name](data, count=12, size=SIZE, seed=3) for _ in range(2))
    assert np.array_equal(made.images, again.images)
    assert np.array_equal(made.masks, again.masks)
    assert made.masks.any(axis=(1, 2)).all()
    assert torch.equal(state[0], torch.random.get_rng_state())
    assert state[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002
    if name != "real":
        assert len(made.images) == 12
        surfaces = np.stack([resize(image, np.zeros(image.shape[:2], np.bool_), size=SIZE)[0] for image in data.good])
        for image, mask in zip(made.images, made.masks, strict=True):
            different = (surfaces.astype(int) != image).any(axis=3) & ~mask
            assert different.sum(axis=(1, 2)).min() == 0


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")  # anomalib, with newer torchvision
def test_textures_are_taken_in_the_order_of_their_names(data: BenchmarkData, tmp_path: Path) -> None:
    from anomalib.data.utils.generators import perlin

    made = []
    for turn, names in enumerate((("a", "b"), ("b", "a"))):
        (folder := tmp_path / str(turn)).mkdir()
        for name in names:  # the file system may list them as they were written
            cv2.imwrite(str(folder / f"{name}.png"), np.full((80, 80, 3), 200 if name == "a" else 10, np.uint8))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(perlin.Path, "rglob", lambda self, _, names=names: [self / f"{name}.png" for name in names])
            made.append(BUILT_IN["perlin"](data, count=6, size=SIZE, seed=0, textures=folder).images)
    assert np.array_equal(*made)
    assert not np.array_equal(made[0], BUILT_IN["perlin"](data, count=6, size=SIZE, seed=0).images)


def test_average_precision_is_that_of_torchmetrics() -> None:
    from torchmetrics.functional.classification import binary_average_precision

    rng = np.random.default_rng(0)
    maps, masks = rng.integers(0, 20, (3, 16, 16)).astype(np.float32) / 20, rng.random((3, 16, 16)) < 0.2
    found = score_defects({"a": maps}, {"a": masks}, maps[:1], device=torch.device("cpu"))["a"]["pixel_ap"]
    predicted = torch.from_numpy(np.concatenate([maps, maps[:1]])).flatten()
    truth = torch.from_numpy(np.concatenate([masks, np.zeros_like(masks[:1])])).int().flatten()
    assert found == pytest.approx(float(binary_average_precision(predicted, truth)), abs=1e-6)


def test_perfect_maps_score_one_and_constant_maps_score_chance() -> None:
    masks = np.zeros((4, 32, 32), dtype=np.bool_)
    masks[:, 8:16, 8:16] = True
    good = np.zeros((4, 32, 32), dtype=np.float32)
    perfect = score_defects({"a": masks.astype(np.float32)}, {"a": masks}, good)
    assert perfect["a"] == pytest.approx(dict.fromkeys(SCORES, 1.0), abs=1e-3)
    assert perfect["macro"] == perfect["a"]
    chance = score_defects({"a": good}, {"a": masks}, good)["a"]
    assert chance["pixel_ap"] == pytest.approx(masks.mean() / 2)
    assert chance["image_auroc"] == 0.5


def test_a_network_learns_what_its_pool_shows(data: BenchmarkData) -> None:
    from anomalib_stage.plugin.model.networks import build_network
    from anomalib_stage.plugin.model.segmentation_loss import SegmentationLoss

    pool = BUILT_IN["real"](data, count=4, size=SIZE, seed=0)
    good = np.stack([resize(image, np.zeros(image.shape[:2], np.bool_), size=SIZE)[0] for image in data.good])
    options = {"steps": 40, "batch_size": 8, "learning_rate": 3e-3, "device": torch.device("cpu")}
    networks = [
        train(
            lambda: build_network("small_unet", encoder_name=None, encoder_weights=None),
            SegmentationLoss(),
            TrainingMix([pool], good),
            seed=seed,
            **options,
        )
        for seed in (0, 0)
    ]
    maps = [map_anomalies(network, data.test["bright"].images, device=torch.device("cpu")) for network in networks]
    assert np.array_equal(maps[0], maps[1])
    masks = data.test["bright"].masks
    assert maps[0][masks].mean() > 2 * maps[0][~masks].mean()


def test_real_defects_keep_their_half_of_a_batch_and_synthetic_ones_take_good_places() -> None:
    def flat(level: int, marked: int) -> PictureSet:
        masks = np.zeros((3, 8, 8), np.bool_)
        masks[:, :marked] = True
        return PictureSet(np.full((3, 8, 8, 3), level, np.uint8), masks)

    real, one, other, good = flat(200, 4), flat(100, 2), flat(150, 1), flat(50, 0).images

    def marked(mix: TrainingMix) -> Counter[int]:
        masks = torch.cat([mix.draw_batch(step, count=16, seed=0)[1] for step in range(4)])
        return Counter((masks.flatten(1).sum(dim=1) // 8).tolist())

    assert marked(TrainingMix([], good)) == {0: 64}
    assert marked(TrainingMix([one], good)) == {2: 32, 0: 32}
    assert marked(TrainingMix([one, other], good)) == {2: 16, 1: 16, 0: 32}
    assert marked(TrainingMix([], good, real=real)) == {4: 32, 0: 32}
    assert marked(TrainingMix([one, other], good, real=real)) == {4: 32, 2: 12, 1: 12, 0: 8}


def test_a_benchmark_reports_every_source_and_goes_on_where_it_stopped(
    root: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    options = {
        "data": root,
        "out": tmp_path,
        "sources": ["none", "cutpaste", str(tiny_bundle_path), f"{tiny_bundle_path}+real"],
        "seeds": (0, 1),
        "max_steps": 2,
        "pairs": 16,
        "size": SIZE,
        "batch_size": 4,
        "sampling_steps": 4,
        "synthesis": {"gate": {"min_visibility": 0.0}},
        "device": "cpu",
    }
    table = benchmark(**options)
    assert table == (tmp_path / "results.md").read_text().removesuffix("\n")
    content = json.loads((tmp_path / "results.json").read_text())
    assert set(content["runs"]) == set(options["sources"])
    assert all(set(seeds) == {"0", "1"} for seeds in content["runs"].values())
    with (tmp_path / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["kind"] for row in rows} == {"dark", "bright", "macro", "self"}
    assert cv2.imread(str(tmp_path / "results.png")) is not None

    runs = sorted((tmp_path / "runs").iterdir())
    assert len(runs) == 8
    before = {run: run.stat().st_mtime_ns for run in runs}
    kept = runs[0].read_text()
    runs[0].unlink()
    assert benchmark(**options) == table
    assert runs[0].read_text() == kept
    assert all(run.stat().st_mtime_ns == before[run] for run in runs[1:])
    shutil.rmtree(tmp_path / "pools")
    assert benchmark(**options) == table
    assert not (tmp_path / "pools").exists()  # where every network has been trained nothing is painted
    with pytest.raises(InputError, match="steps 2 -> 3"):
        benchmark(**{**options, "max_steps": 3})
    other = json.loads((root / "few_shot.json").read_text())
    other["dark"]["fit"] = ["0"]
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match=r"split None -> other.json; pictures \w{16} -> \w{16}"):
        benchmark(**{**options, "split": tmp_path / "other.json"})
    cv2.imwrite(str(tmp_path / "texture.png"), np.zeros((80, 80, 3), np.uint8))
    with pytest.raises(InputError, match=r"textures None -> \w{16}"):
        benchmark(**{**options, "textures": tmp_path})
    with pytest.raises(InputError, match=r"synthesis.gate.* -> None"):
        benchmark(**{**options, "synthesis": None})


def test_a_bundle_that_has_seen_what_is_scored_is_refused(root: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    seen = digest_pictures(read_image(root / "test" / "dark" / "2.png"))
    assert seen in load_data(root, split=root / "few_shot.json", size=SIZE).scored
    for name, pictures in (
        ("seen", [seen]),
        ("fine", [digest_pictures(read_image(root / "test" / "dark" / "0.png"))]),
    ):
        bundle = StageBundle.load(tiny_bundle_path)
        bundle.manifest.training["pictures"] = pictures
        file = bundle.save(tmp_path / f"{name}.safetensors")
        options = {
            "data": root,
            "out": tmp_path / name,
            "sources": [str(file)],
            "max_steps": 1,
            "seeds": [0],
            "size": SIZE,
        }
        options |= {"pairs": 8, "sampling_steps": 4, "synthesis": {"gate": {"min_visibility": 0.0}}, "device": "cpu"}
        if name == "seen":
            with pytest.raises(
                InputError, match=r"seen.safetensors was fitted on 1 of the 4 pictures kept for the score"
            ):
                benchmark(**options)
            assert not (tmp_path / name).exists()
        else:
            assert "macro pixel AP" in benchmark(**options)


def test_a_plus_in_the_name_of_a_file_is_no_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a+b.safetensors").touch()
    assert split_source("a+b.safetensors") == ["a+b.safetensors"]
    assert split_source("a+b.safetensors+real") == ["a+b.safetensors", "real"]
    assert split_source("real+a+b.safetensors+default") == ["real", "a+b.safetensors", "default"]
    assert split_source("default+real") == ["default", "real"]
    assert split_source("none") == ["none"]


def test_pools_are_painted_with_the_kinds_and_settings_asked_for(data: BenchmarkData, tiny_bundle_path: Path) -> None:
    def pool(defects: list[str], extent: tuple[float, float]) -> PictureSet:
        settings = SynthesisSettings(
            sampler=SamplerSettings(steps=4),
            masks=MaskSettings(extent=extent),
            gate=GateSettings(min_visibility=0.0, min_agreement=0.0),
        )
        painter = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=settings)
        assert set(defects) <= set(painter.defects)
        return paint_set(painter, data, count=6, size=SIZE, seed=0, defects=defects)

    defects = list(StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu").defects)
    small, large = (pool(defects[:1], extent).masks.mean() for extent in ((0.1, 0.1), (0.5, 0.5)))
    assert large > 4 * small > 0
    assert not np.array_equal(pool(defects[:1], (0.3, 0.3)).images, pool(defects[1:], (0.3, 0.3)).images)


@pytest.mark.parametrize("nested", [True, False])
def test_a_split_with_fewer_shots_has_defects_of_many_groups_and_scores_the_same(
    nested: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = {"dent": {"fit": ["a", "b", "c", "d", "e"], "eval": ["x"]}, "line": {"fit": ["k", "j"], "eval": ["y"]}}
    (tmp_path / "few_shot.json").write_text(json.dumps(split))
    groups = {"a": 1, "b": 1, "c": 1, "d": 2, "e": 3}
    (tmp_path / "groups.json").write_text(json.dumps({"group_of": groups} if nested else groups))
    arguments = ["fewer_shots.py", f"--data={tmp_path}", "--shots=3", f"--out={tmp_path / 'fewer.json'}"]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(Path(__file__).parents[3] / "docs" / "measure" / "fewer_shots.py"), run_name="__main__")
    assert json.loads((tmp_path / "fewer.json").read_text()) == {
        "dent": {"fit": ["a", "d", "e"], "eval": ["x"]},
        "line": {"fit": ["j", "k"], "eval": ["y"]},
    }


def test_targets_are_compared_by_means(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parents[3] / "docs" / "measure"
    monkeypatch.syspath_prepend(str(folder))
    found = {"perlin": [0.1, 0.3], "cutpaste": [0.3, 0.3], "croppaste": [0.15, 0.25], "real": [0.4, 0.4]}
    found |= {"default": [0.2, 0.2], "fitted": [0.31, 0.33], "fitted+real": [0.4, 0.52]}
    rows = runpy.run_path(str(folder / "targets.py"))["targets"](found, {"real": [0.2], "five+real": [0.1]})
    states = [row.split("| ")[-1] for row in rows]
    assert ["yes" in state for state in states] == [True, False, True, False, True, True, False]
    assert rows[0] == "| default at least as good as perlin | 0.200 0.200 against 0.100 0.300 | yes, by +0.000 |"


def test_tables_show_spread_and_paired_differences() -> None:
    def run(value: float) -> dict:
        return {name: dict.fromkeys(SCORES, value) for name in ("dark", "macro")}

    runs = {"a": {0: run(0.2), 1: run(0.4)}, "b": {0: run(0.1), 1: run(0.2)}}
    assert "| a | 0.300 ± 0.141 |" in markdown_table(runs)
    assert paired_differences(runs, "a", "b") == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seeds": ()}, "--seeds is empty"),
        ({"max_steps": 0}, "--max-steps is 0"),
        ({"pairs": 3}, "--pairs is 3"),
        ({"size": 100}, "--size is 100"),
        ({"batch_size": 1}, "--batch-size is 1"),
        (
            {"batch_size": 2, "sources": ["croppaste+real"]},
            r"--batch-size is 2; it must be at least 4 for croppaste\+real",
        ),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0; it must be above 0"),
        ({"negatives": math.nan}, r"--negatives is nan; it must be in \[0, 1\]"),
        ({"sources": ["cut-paste+real"]}, "--sources cut-paste: no such file, and none of none, perlin, cutpaste"),
        ({"sources": ["default"], "defects": ["moss"]}, "--defects moss: default has no such defect; it has .*scratch"),
        ({"textures": Path("absent")}, "absent: no such folder"),
        ({"data": Path("absent")}, "few_shot.json"),
        ({"synthesis": {"mask": {}}}, "mask: Extra inputs"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    root: Path, tmp_path: Path, change: dict, complaint: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises((InputError, DataError), match=complaint):
        benchmark(**{"data": root, "out": out, **change})
    assert not out.exists()
