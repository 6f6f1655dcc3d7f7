# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage quality`` on a small data set: every measure in the report, sheets, and honest refusals."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stage.cli import main
from anomalib_stage.errors import DataError, InputError
from anomalib_stage.evaluation.realism.read_set import read_set
from anomalib_stage.evaluation.realism.run import quality
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.metrics.statistics import STATISTICS
from anomalib_stage.rendering.defects import paint_defect
from tests.metrics.rendered import disc, eight_bit, surface

COUNT = 20


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten good images to train on, one for the test, twenty holes and two stains, half of them to fit."""
    folder = tmp_path_factory.mktemp("castings")
    for i in range(10):
        write_file(folder / "train" / "good" / f"{i}.png", encode_png(eight_bit(surface(i))))
    write_file(folder / "test" / "good" / "0.png", encode_png(eight_bit(surface(20))))
    split = {}
    for defect, count in (("hole", 20), ("smear", 2)):
        for i in range(count):
            mask = disc(radius=7 + i % 5, at=(30 + i % 4, 36))
            rng = np.random.default_rng(i)
            picture = paint_defect(surface(40 + i), mask, defect="hole" if defect == "hole" else "stain", rng=rng)
            write_file(folder / "test" / defect / f"{i}.png", encode_png(eight_bit(picture)))
            drawn = np.where(mask, 255, 0).astype(np.uint8)
            write_file(folder / "ground_truth" / defect / f"{i}_mask.png", encode_png(drawn))
        half = [str(i) for i in range(count // 2)], [str(i) for i in range(count // 2, count)]
        split[defect] = {"fit": half[0], "eval": half[1]}
    (folder / "few_shot.json").write_text(json.dumps(split))
    return folder


@pytest.fixture(scope="module")
def report(root: Path, tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("report")
    said: list[str] = []
    text = quality(
        data=root,
        out=out,
        weights=str(tiny_bundle_path),
        count=COUNT,
        sampling_steps=4,
        size=64,
        device="cpu",
        progress=lambda what, *_: said.append(what),
    )
    assert {"painting anomalies", "painting good surface", "measuring"} == set(said)
    return text, out


def test_the_report_holds_every_measure(report: tuple[str, Path]) -> None:
    text, out = report
    assert text == (out / "quality.md").read_text().removesuffix("\n")
    content = json.loads((out / "quality.json").read_text())
    assert content["settings"]["size"] == 64
    everything = content["realism"]["all"]
    assert everything["against"] == "all"
    assert everything["count"] >= COUNT // 2
    assert set(everything["statistics"]) == set(STATISTICS)
    assert everything["mean_distance"] > content["real_halves"]["mean_distance"] / 2
    assert content["realism"]["hole"]["against"] == "hole"  # ten real ones
    assert content["realism"]["scratch"]["against"] == "all"  # none
    assert set(content["diversity"]["real"]) == {"hole", "smear", "all"}
    assert 0.0 <= content["copies"]["share"] <= 1.0
    assert content["copies"]["smallest"] <= content["copies"]["median"]
    assert str(content["learned"]["KID"]).startswith("not measured") or isinstance(content["learned"]["KID"], float)


def test_an_untrained_painter_is_found_out(report: tuple[str, Path]) -> None:
    content = json.loads((report[1] / "quality.json").read_text())
    assert content["detector"]["regions"] >= COUNT
    assert content["detector"]["network"] > 0.9
    assert content["detector"]["regression"] > 0.9
    told = [trace["auroc"] for trace in content["traces"].values()]
    assert told[0] == max(told) > 0.9
    assert f"| {content['detector']['network']:.2f} | at most 0.6 |" in report[0]


@pytest.mark.parametrize("name", ["kinds", "copies", "good"])
def test_sheets_are_pictures(report: tuple[str, Path], name: str) -> None:
    picture = cv2.imread(str(report[1] / f"{name}.png"))
    assert picture is not None
    assert picture.std() > 10


def test_the_command_prints_the_tables_and_repeats_itself(
    root: Path, tiny_bundle_path: Path, report: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--data",
        root,
        "--out",
        tmp_path,
        "--weights",
        tiny_bundle_path,
        "--count",
        COUNT,
        "--sampling-steps",
        4,
    ]
    assert main(["quality", *map(str, options), "--size", "64", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == report[0] + "\n"
    for file in report[1].iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_captures_of_one_piece_have_one_source(root: Path, tmp_path: Path) -> None:
    for part in ("train", "test", "ground_truth"):
        (tmp_path / part).symlink_to(root / part)
    (tmp_path / "groups.json").write_text(json.dumps({"group_of": {"0": 7, "1": 7, "2": 7}}))
    alone, grouped = (read_set(folder, split=root / "few_shot.json", size=None)[1] for folder in (root, tmp_path))
    assert len({cut.source for cut in alone}) == 11  # ten holes and a smear
    assert len({cut.source for cut in grouped}) == 11 - 3  # holes 0, 1 and 2, and smear 0, are one piece
    assert len(alone) == len(grouped) == 11
    (tmp_path / "groups.json").write_text(json.dumps({"hole/0": 7, "hole/1": 7}))
    named = read_set(tmp_path, split=root / "few_shot.json", size=None)[1]
    assert len({cut.source for cut in named}) == 11 - 1  # holes 0 and 1; smear 0 is another piece


def test_bad_arguments_and_small_sets_are_refused(root: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    options = {"data": root, "out": tmp_path / "out", "weights": str(tiny_bundle_path), "device": "cpu"}
    with pytest.raises(InputError, match="--count is 3"):
        quality(**options, count=3)
    with pytest.raises(InputError, match="--size is 16"):
        quality(**options, size=16)
    small = tmp_path / "small"
    for part in ("test", "ground_truth", "few_shot.json"):
        small.mkdir(exist_ok=True)
        (small / part).symlink_to(root / part)
    write_file(small / "train" / "good" / "0.png", encode_png(eight_bit(surface(0))))
    with pytest.raises(DataError, match="1 good images"):
        quality(**{**options, "data": small})
    assert not (tmp_path / "out").exists()
