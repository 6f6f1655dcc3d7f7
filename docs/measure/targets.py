# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Fit a set's few defects, run the benchmark, and print which targets hold.

    python docs/measure/targets.py --data SET --textures DTD --out OUT

One command for each set. It fits ``OUT/fitted.safetensors`` on the defects that ``few_shot.json`` gives for learning,
and ``OUT/five.safetensors`` on five of each kind, benchmarks both against the free alternatives, and writes
``OUT/targets.md``. What is there already is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from fewer_shots import write_fewer

from anomalib_stage.benchmark.run import benchmark
from anomalib_stage.training.fit import fit

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
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    five = given.out / "five.json"
    write_fewer(given.data, shots=SHOTS, out=five)
    bundles = {name: given.out / f"{name}.safetensors" for name in ("fitted", "five")}
    for name, split in (("fitted", given.data / "few_shot.json"), ("five", five)):
        if not bundles[name].is_file():
            fitted(given.data, split, bundles[name], steps=given.fit_steps, device=given.device)
    options = {"data": given.data, "seeds": SEEDS, "steps": given.steps, "pairs": given.pairs, "device": given.device}
    files = {name: str(path) for name, path in bundles.items()}
    all_of_it = (*FREE, "default", files["fitted"], f"{files['fitted']}+real")
    benchmark(out=given.out / "bench", sources=all_of_it, textures=given.textures, **options)
    benchmark(out=given.out / "bench5", sources=("real", f"{files['five']}+real"), split=five, **options)
    rows = targets(scores(given.out / "bench", files), scores(given.out / "bench5", files))
    text = "\n".join(["| target | seed by seed | state |", "|---|---|---|", *rows])
    (given.out / "targets.md").write_text(text + "\n")
    print(text)


def fitted(data: Path, split: Path, out: Path, *, steps: int, device: str) -> None:
    """Fit the defects that a split gives for learning."""
    start = time.monotonic()
    fit(
        out=out,
        normal=data / "train" / "good",
        defects=data / "test",
        masks=data / "ground_truth",
        include=split,
        max_steps=steps,
        device=device,
    )
    print(f"{out}: {time.monotonic() - start:.0f} s")


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
