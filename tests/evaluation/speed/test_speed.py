# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage benchmark-speed``: what it measures, what it scales, and how it judges."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
import torch
import torchvision
from anomalib.models import Supersimplenet
from torch.profiler import record_function

from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.speed import training_steps
from anomalib_stage.evaluation.speed.instruments import split
from anomalib_stage.evaluation.speed.instruments.clock import Task, Timing, alternate, now
from anomalib_stage.evaluation.speed.instruments.memory import measure_peak
from anomalib_stage.evaluation.speed.measurements import PERLIN, REFERENCE, SAME, STAGE, Measurements, Time
from anomalib_stage.evaluation.speed.parts import PARTS
from anomalib_stage.evaluation.speed.run import benchmark_speed
from anomalib_stage.evaluation.speed.targets import judge
from anomalib_stage.evaluation.speed.timed_images import render_timed_images
from anomalib_stage.pipeline.synthesizer import StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anomalib.models.components import AnomalibModule

    from anomalib_stage.weights.bundle import StageBundle

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "device": "cpu",
    "sizes": [64, 96],
    "batch_sizes": [1, 2],
    "sampling_steps": [4],
    "rounds": 2,
    "images": 2,
    "reference_steps": 1,
}


@pytest.fixture(scope="module")
def run(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("speed")
    parts = [part for part in PARTS if part not in {"training", "memory"}]
    return benchmark_speed(out=folder, weights=str(tiny_bundle_path), parts=parts, **SMALL), folder


def test_everything_is_timed_at_every_size(run: tuple[str, Path]) -> None:
    found = json.loads((run[1] / "results.json").read_text())
    times = {(time["source"], time["size"], time["batch_size"], time["steps"]): time for time in found["times"]}
    wanted = {(STAGE, size, batch, 4) for size in (64, 96) for batch in (1, 2)}
    wanted |= {(PERLIN, size, 1, 0) for size in (64, 96)} | {(REFERENCE, size, 1, 1000) for size in (64, 96)}
    assert times.keys() == wanted
    assert all(len(time["rounds"]) == 2 and time["milliseconds"] > 0 for time in times.values())
    assert times[REFERENCE, 64, 1, 1000]["measured_steps"] == 1
    assert found["flops"][REFERENCE] > 20 * found["flops"][STAGE]
    assert found["regions"]["per_second"] > 0


def test_the_split_has_the_documented_parts_and_adds_up(tiny_bundle: StageBundle) -> None:
    made, images = StageSynthesizer(tiny_bundle, device="cpu"), render_timed_images(64, 2)
    seconds: list[float] = []

    def call() -> None:
        begin = now(CPU)
        made(images, seeds=[0, 1])
        seconds.append(now(CPU) - begin)

    parts = split.split_time(call, images=2, device=CPU)
    assert list(parts) == [*split.PARTS, split.REST]
    assert min(parts.values()) >= 0
    assert all(parts[part] > 0 for part in split.PARTS)
    assert sum(parts.values()) == pytest.approx(seconds[0] * 1000 / 2, rel=0.05, abs=1.0)
    page = (Path(__file__).parents[3] / "docs" / "concepts" / "speed.md").read_text()
    assert all(f"\n| {part} | " in page for part in parts)


def _mark(parts: Iterable[str], *, milliseconds: float) -> None:
    """Spend that time in each of some ranges; in ``decode`` there is ``denoise`` too."""
    for part in parts:
        with record_function(f"stage::{part}"):
            time.sleep(milliseconds / 1000)
            if part == "decode":
                with record_function("a name of another"), record_function("stage::denoise"):
                    time.sleep(5 * milliseconds / 1000)


def test_a_part_within_another_counts_for_itself() -> None:
    parts = split.split_time(lambda: _mark(split.PARTS, milliseconds=10), images=1, device=CPU)
    assert 60 <= parts["denoise"] < 120
    assert 10 <= parts["decode"] < 40


@pytest.mark.parametrize(
    ("marked", "odd"), [(split.PARTS[1:], "check"), ((*split.PARTS, "polish"), "polish"), ((), "appearance, blend")]
)
def test_a_part_that_is_missing_or_unknown_is_an_error(marked: tuple[str, ...], odd: str) -> None:
    with pytest.raises(RuntimeError, match=f"look for {odd}"):
        split.split_time(lambda: _mark(marked, milliseconds=0), images=1, device=CPU)


def test_the_report_is_written_as_it_is_printed(run: tuple[str, Path]) -> None:
    text, folder = run
    assert (folder / "results.md").read_text() == text + "\n"
    assert "1 of 1000" in text
    assert "--sizes 64 96" in text
    picture = cv2.imread(str(folder / "results.png"))
    assert picture is not None
    assert min(picture.shape[:2]) > 300


def test_memory_is_that_of_the_call() -> None:
    size = 64 * 2**20
    found = measure_peak(CPU, lambda: torch.ones(size // 4))
    if found is None:
        pytest.skip("this system does not tell the memory of a process")
    assert 0.8 * size / 1e6 <= found <= 3 * size / 1e6


def test_a_median_is_over_the_rounds_and_the_published_sampler_is_scaled() -> None:
    assert Timing([[1.0, 3.0], [10.0, 10.0], [4.0, 4.0]]).median == 4.0
    order: list[str] = []

    def task(name: str) -> Task:
        def once(turn: int) -> list[float]:
            order.append(f"{name}{turn}")
            return [1.0]

        return Task((name,), once, lambda: order.append(name))

    alternate([task("a"), task("b")], rounds=2, progress=lambda *_: None)
    assert order == ["a", "b", "a0", "b0", "a1", "b1"]


def test_targets_are_judged_by_the_numbers() -> None:
    def entry(source: str, size: int, milliseconds: float, *, steps: int = 20, batch: int = 8) -> Time:
        return Time(source, size, batch, steps, steps, 8, milliseconds, [milliseconds])

    settings = {"sizes": [256, 512], "steps": 20, "batch_size": 8, "device": "cpu"}
    settings |= {"train_size": 256, "train_batch_size": 2}
    results = Measurements({}, settings)
    results.times = [
        entry(STAGE, 256, 10.0),
        entry(STAGE, 512, 20.0),
        entry(SAME, 256, 10.0),
        entry(SAME, 512, 15.0),
        entry(PERLIN, 512, 25.0, steps=0, batch=1),
        entry(REFERENCE, 256, 5000.0, steps=1000, batch=1),
    ]
    results.training = {"Draem": {"share": 0.02}}
    rows = {row.what: row for row in judge(results)}
    against = rows["time of an image at 512 px, Perlin noise = 1"]
    assert (against.measured, against.target, against.met) == ("0.8 times", "≤ 1 times", True)
    assert rows["time at 512 px, 256 px = 1: the same defect"].met is False
    assert rows["time of the published sampler with this network at 256 px, ours = 1"].met is True
    assert rows["what `StageAugment` adds to a Draem step, 256 px, batch 2"].measured == "2%"
    missing = rows["time of an image at 2048 px, Perlin noise = 1"]
    assert (missing.measured, missing.met) == (None, None)


def test_a_training_step_is_timed_with_and_without(tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(folder: Path, size: int) -> AnomalibModule:
        del folder
        backbone, pre = torchvision.models.resnet18(weights=None), Supersimplenet.configure_pre_processor((size, size))
        return Supersimplenet(backbone=backbone, supervised=True, pre_processor=pre, **training_steps.QUIET)

    monkeypatch.setitem(training_steps.MODELS, "Supersimplenet", small)
    before = torch.get_rng_state()
    times = training_steps.time_steps(
        "Supersimplenet", device=CPU, weights=str(tiny_bundle_path), size=128, batch_size=2, steps=2, rounds=1
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert len(times.without) == len(times.stage) == len(times.painting) == 2
    assert all(0 <= painting < step for painting, step in zip(times.painting, times.stage, strict=True))
    assert times.share == pytest.approx(sum(times.painting) / sum(times.without), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling_steps": [2]}, "--sampling-steps is 2; it must be at least 4"),
        ({"sizes": []}, "--sizes is empty"),
        ({"sizes": [48]}, "--sizes is 48; it must be at least 64"),
        ({"parts": ["paint"]}, "--parts has 'paint'; there are painting, arithmetic"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        benchmark_speed(**{**SMALL, **changes})
