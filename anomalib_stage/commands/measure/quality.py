# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage quality``: what gives painted anomalies and repainted surface away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.commands.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quality"]


def quality(
    *,
    data: Path,
    out: Path,
    weights: str = "default",
    split: Path | None = None,
    count: int = 200,
    size: int | None = None,
    seed: int = 0,
    sampling_steps: int | None = None,
    synthesis: dict[str, Any] | None = None,
    device: str = "auto",
    white_level: int | None = None,
) -> Iterator[str]:
    """Measure what a bundle paints against real defects and untouched surface; needs no foreign weights.

    Args:
        data: Data set in MVTec layout: train/good, test/good, test/<defect>, ground_truth/<defect>.
        out: Folder for quality.json, quality.md and sheets.
        weights: "default" or a bundle file.
        split: JSON file {defect: {"fit": [stems], "eval": [stems]}}; few_shot.json in data if not given.
        count: Anomalies to paint, and as many times good surface.
        size: Resize images to this side in pixels first; as they are if not given.
        seed: Base seed.
        sampling_steps: Sampling steps, 4 to 1000; as many as the bundle's backbone needs if not given.
        synthesis: Settings of painting that differ from the defaults, as JSON: '{"gate": {"trim": true}}'.
        device: auto, cpu, cuda or cuda:N.
        white_level: Largest value of a pixel in images deeper than 8 bit, such as 4095; found over all if not given.
    """
    from anomalib_stage.evaluation.realism.run import quality as run

    with Progress("quality", 1) as progress:
        text = run(
            data=data,
            out=out,
            weights=weights,
            split=split,
            count=count,
            size=size,
            seed=seed,
            sampling_steps=sampling_steps,
            synthesis=synthesis,
            device=device,
            white_level=white_level,
            progress=progress.say,
        )
    yield text
