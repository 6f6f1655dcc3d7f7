# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage benchmark-speed``: what the synthesis costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anomalib_stage.commands.progress import Progress
from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["benchmark_speed"]


def benchmark_speed(
    *,
    out: Path | None = None,
    weights: str = "default",
    device: str = "auto",
    sizes: list[str] | None = None,
    batch_sizes: list[str] | None = None,
    sampling_steps: list[str] | None = None,
    rounds: int = 3,
    images: int = 4,
    reference_steps: int = 2,
    train_size: int = 256,
    train_batch_size: int = 2,
    train_steps: int = 2,
    train_rounds: int = 1,
    parts: list[str] | None = None,
) -> Iterator[str]:
    """Time the synthesis beside Perlin noise and the published sampler, and in training steps.

    Args:
        out: Folder for results.md, results.json and results.png; nothing is written if not given.
        weights: "default" or a bundle file.
        device: auto, cpu, cuda or cuda:N.
        sizes: Sides of the images in pixels; 256 512 1024 2048 if not given.
        batch_sizes: Images in a batch; 1 8 32 if not given. All step counts are timed with the middle one.
        sampling_steps: Sampling steps; 4 8 20 if not given.
        rounds: Turns of every measurement, fewer of more than 8 images of 1024 px; medians are over them.
        images: Images painted in a turn, more where the batch is larger.
        reference_steps: Steps timed of the published sampler's 1000 in a turn; its time is scaled from them.
        train_size: Side of the training images in pixels.
        train_batch_size: Images in a training batch.
        train_steps: Training steps timed in a fit, after one that warms up.
        train_rounds: Fits with StageAugment, and as many without.
        parts: What to measure: painting arithmetic split memory regions training; all if not given.
    """
    from anomalib_stage.evaluation.speed.run import BATCH_SIZES, PARTS, SIZES, STEPS
    from anomalib_stage.evaluation.speed.run import benchmark_speed as run

    with Progress("benchmark", 1) as progress:
        table = run(
            out=out,
            weights=weights,
            device=device,
            sizes=_whole_numbers("sizes", sizes) or SIZES,
            batch_sizes=_whole_numbers("batch-sizes", batch_sizes) or BATCH_SIZES,
            sampling_steps=_whole_numbers("sampling-steps", sampling_steps) or STEPS,
            rounds=rounds,
            images=images,
            reference_steps=reference_steps,
            train_size=train_size,
            train_batch_size=train_batch_size,
            train_steps=train_steps,
            train_rounds=train_rounds,
            parts=parts or tuple(PARTS),
            progress=progress.say,
        )
    yield table


def _whole_numbers(name: str, texts: Sequence[str] | None) -> list[int]:
    try:
        return [int(number) for text in texts or () for number in text.split(",") if number]
    except ValueError as error:
        msg = f"--{name} {' '.join(texts or ())}: {error}; give whole numbers"
        raise InputError(msg) from error
