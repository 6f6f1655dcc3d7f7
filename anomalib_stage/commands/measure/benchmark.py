# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage benchmark``: which anomalies teach a network to find real defects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.commands.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["benchmark"]


def benchmark(
    *,
    data: Path,
    out: Path,
    sources: list[str] | None = None,
    split: Path | None = None,
    textures: Path | None = None,
    seeds: list[str] | None = None,
    max_steps: int = 400,
    pairs: int = 1000,
    size: int = 128,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    sampling_steps: int | None = None,
    negatives: float = 0.25,
    defects: list[str] | None = None,
    synthesis: dict[str, Any] | None = None,
    device: str = "auto",
    white_level: int | None = None,
) -> Iterator[str]:
    """Train the same small U-Net on anomalies from each source and score it on real defects.

    Args:
        data: Data set in MVTec layout: train/good, test/good, test/<defect>, ground_truth/<defect>.
        out: Folder for pools, runs and results; running again does only what is missing.
        sources: none, a bundle file, a sum (default+real); perlin cutpaste croppaste real default if not given.
        split: JSON file {defect: {"fit": [stems], "eval": [stems]}}; few_shot.json in data if not given.
        textures: Folder of texture images for perlin, such as DTD; noise colours if not given.
        seeds: Seeds of the networks; 0 1 2 if not given.
        max_steps: Training steps of each network.
        pairs: Pictures that each source makes.
        size: Side of the pictures in pixels.
        batch_size: Pictures in a step, half of them good (an eighth in sums with real).
        learning_rate: Peak learning rate.
        sampling_steps: Denoising steps of bundles; as many as their backbone needs if not given.
        negatives: Share of the good pictures that are re-synthesized, for bundles.
        defects: Defects that bundles paint, in turn; drawn from all of each bundle's if not given.
        synthesis: Settings of painting that differ from the defaults, as JSON: '{"gate": {"trim": true}}'.
        device: auto, cpu, cuda or cuda:N.
        white_level: Largest value of a pixel in images deeper than 8 bit, such as 4095; found over all if not given.
    """
    from anomalib_stage.evaluation.detection.checks import SOURCES
    from anomalib_stage.evaluation.detection.run import benchmark as run
    from anomalib_stage.evaluation.detection.run import read_whole_numbers

    with Progress("benchmark", 1) as progress:
        table = run(
            data=data,
            out=out,
            sources=sources or SOURCES,
            split=split,
            textures=textures,
            seeds=read_whole_numbers(seeds) if seeds else (0, 1, 2),
            max_steps=max_steps,
            pairs=pairs,
            size=size,
            batch_size=batch_size,
            learning_rate=learning_rate,
            sampling_steps=sampling_steps,
            negatives=negatives,
            defects=defects,
            synthesis=synthesis,
            device=device,
            white_level=white_level,
            progress=progress.say,
        )
    yield table
