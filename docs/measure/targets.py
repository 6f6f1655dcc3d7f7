# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Fit a set's few defects, run the benchmark, and print which targets hold.

    python docs/measure/targets.py --data SET --textures DTD --out OUT

One command for each set. It fits ``OUT/fitted.safetensors`` on the defects that ``few_shot.json`` gives for learning,
and ``OUT/five.safetensors`` on five of each defect, benchmarks both against the free alternatives, and writes
``OUT/targets.md``. What is there already is not done again. ``--jobs 8`` runs so many processes beside each other, of
one thread each: on a machine of many cores, or on a GPU, which one such training keeps busy for a small part of its
time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from fewer_shots import write_fewer

from anomalib_stage.evaluation.detection.checks import claim_run
from anomalib_stage.evaluation.detection.run import benchmark

if TYPE_CHECKING:
    from collections.abc import Sequence

FREE = ("perlin", "cutpaste", "croppaste", "real")
SEEDS, SHOTS = (0, 1, 2), 5

POINTS, SUM_POINTS = 0.10, 0.05
"""By how much macro pixel AP of the fitted bundle should exceed each alternative, and of its sum with real defects
theirs."""


def main() -> None:
    """Do what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="set in MVTec layout with few_shot.json")
    parser.add_argument("--textures", type=Path, help="folder of textures for Perlin noise")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fit-steps", type=int, default=600)
    parser.add_argument("--max-steps", type=int, default=1200)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1, help="processes beside each other")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    if not (given.data / "few_shot.json").is_file():
        parser.error(f"{given.data} has no few_shot.json; it says which defects are learnt from and which are scored")
    given.out.mkdir(parents=True, exist_ok=True)
    split = json.loads((given.data / "few_shot.json").read_text())
    claim_run(given.out, {"data": given.data.name, "split": split, "fit_steps": given.fit_steps})
    write_fewer(given.data, shots=SHOTS, out=given.out / "five.json")
    with ThreadPoolExecutor(given.jobs) as pool:
        for first in [pool.submit(chain, given, steps) for steps in chains(given)]:
            first.result()
        for rest in [pool.submit(run, given, step) for step in remaining(given)]:
            rest.result()
    options = {"data": given.data, "seeds": SEEDS, "max_steps": given.max_steps, "pairs": given.pairs}
    options |= {"device": given.device}
    files = {name: str(given.out / f"{name}.safetensors") for name in ("fitted", "five")}
    all_of_it = (*FREE, "default", files["fitted"], f"{files['fitted']}+real")
    benchmark(out=given.out / "bench", sources=all_of_it, textures=given.textures, **options)
    benchmark(
        out=given.out / "bench5", sources=("real", f"{files['five']}+real"), split=given.out / "five.json", **options
    )
    rows = targets(scores(given.out / "bench", files), scores(given.out / "bench5", files))
    text = "\n".join(["| target | seed by seed | state |", "|---|---|---|", *rows])
    (given.out / "targets.md").write_text(text + "\n")
    print(text)


def chains(given: argparse.Namespace) -> list[list[list[str]]]:
    """Commands in chains: within one, each needs what the one before it has left."""
    out, seeds = given.out, [str(seed) for seed in SEEDS]
    ours = [
        [
            _fit(given, "fitted", given.data / "few_shot.json"),
            _bench(given, str(out / "fitted.safetensors"), seeds[:1]),
        ],
        [_fit(given, "five", out / "five.json"), _bench5(given, f"{out / 'five.safetensors'}+real", seeds[:1])],
        [_bench(given, "default", seeds[:1])],
    ]
    return [*ours, [_bench5(given, "real", seeds)], *([_bench(given, source, seeds)] for source in FREE)]


def remaining(given: argparse.Namespace) -> list[list[str]]:
    """Commands that need the painted synthetic sets."""
    fitted, rest = str(given.out / "fitted.safetensors"), [str(seed) for seed in SEEDS[1:]]
    return [
        *(_bench(given, f"{fitted}+real", [str(seed)]) for seed in SEEDS),
        *(_bench(given, source, [seed]) for source in ("default", fitted) for seed in rest),
        *(_bench5(given, f"{given.out / 'five.safetensors'}+real", [seed]) for seed in rest),
    ]


def _fit(given: argparse.Namespace, name: str, split: Path) -> list[str]:
    if (out := given.out / f"{name}.safetensors").is_file():
        return []
    data = given.data
    folders = ["--data", data / "train" / "good", "--defect-dir", data / "test"]
    folders += ["--defect-mask-dir", data / "ground_truth"]
    return ["fit", *map(str, folders), "--split", str(split), "--max-steps", str(given.fit_steps), "--out", str(out)]


def _bench(
    given: argparse.Namespace, source: str, seeds: Sequence[str], *more: str, folder: str = "bench"
) -> list[str]:
    textures = ["--textures", str(given.textures)] if given.textures and folder == "bench" else []
    sizes = ["--max-steps", str(given.max_steps), "--pairs", str(given.pairs)]
    out = ["--data", str(given.data), "--out", str(given.out / folder), *sizes, *textures, *more]
    return ["benchmark", *out, "--sources", source, "--seeds", *seeds]


def _bench5(given: argparse.Namespace, source: str, seeds: Sequence[str]) -> list[str]:
    return _bench(given, source, seeds, "--split", str(given.out / "five.json"), folder="bench5")


def chain(given: argparse.Namespace, steps: Sequence[Sequence[str]]) -> None:
    """Run commands one after the other."""
    for step in steps:
        run(given, step)


def run(given: argparse.Namespace, step: Sequence[str]) -> None:
    """Run one command in a process of its own, with one thread where several run."""
    if not step:
        return
    threads = {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"} if given.jobs > 1 else {}
    start = time.monotonic()
    command = [sys.executable, "-m", "anomalib_stage", *step, "--device", given.device]
    subprocess.run(command, check=True, env=os.environ | threads, stdout=subprocess.DEVNULL)
    print(f"{time.monotonic() - start:.0f} s: {' '.join(step)}", flush=True)


def scores(folder: Path, files: dict[str, str]) -> dict[str, list[float]]:
    """Read macro pixel AP, seed by seed, for each source."""
    runs = json.loads((folder / "results.json").read_text())["runs"]
    named = {}
    for source, seeds in runs.items():
        name = source
        for short, file in files.items():
            name = name.replace(file, short)
        named[name] = [seeds[seed]["macro"]["pixel_ap"] for seed in sorted(seeds, key=int)]
    return named


def targets(found: dict[str, list[float]], five: dict[str, list[float]]) -> list[str]:
    """Compare means over seeds with what is wanted."""
    wanted = [("default at least as good as", "default", other, 0.0) for other in FREE[:2]]
    wanted += [(f"fitted {POINTS:.2f} above", "fitted", other, POINTS) for other in FREE[:3]]
    rows = [_row(text, found[one], other, found[other], points) for text, one, other, points in wanted]
    rows.append(_row(f"fitted+real {SUM_POINTS:.2f} above", found["fitted+real"], "real", found["real"], SUM_POINTS))
    rows.append(_row("5 shots: fitted+real above", five["five+real"], "real", five["real"], 0.0))
    return rows


def _row(text: str, ours: list[float], other: str, theirs: list[float], points: float) -> str:
    difference = statistics.fmean(ours) - statistics.fmean(theirs)
    held = "yes" if difference >= points else "**no**"
    numbers = " ".join(f"{a:.3f}" for a in ours), " ".join(f"{b:.3f}" for b in theirs)
    return f"| {text} {other} | {numbers[0]} against {numbers[1]} | {held}, by {difference:+.3f} |"


if __name__ == "__main__":
    main()
