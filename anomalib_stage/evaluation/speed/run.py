# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Run a speed benchmark: everything in one process, what is compared by turns."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.devices import resolve_device
from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.speed.machine import describe_run
from anomalib_stage.evaluation.speed.measurements import Measurements
from anomalib_stage.evaluation.speed.parts import PARTS
from anomalib_stage.evaluation.speed.report import write_markdown, write_results
from anomalib_stage.pipeline.compact_backbone import CompactBackbone
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["BATCH_SIZES", "PARTS", "SIZES", "STEPS", "benchmark_speed"]

SIZES = (256, 512, 1024, 2048)
BATCH_SIZES = (1, 8, 32)
STEPS = (4, 8, 20)

LEAST = {
    "sizes": 64,  # Perlin noise fails below
    "batch_sizes": 1,
    "sampling_steps": 4,
    "rounds": 1,
    "images": 1,
    "reference_steps": 1,
    "train_size": 128,  # Perlin noise on the feature map of Supersimplenet fails below
    "train_batch_size": 2,
    "train_steps": 1,
    "train_rounds": 1,
}


@accept_old_names
def benchmark_speed(
    *,
    out: Path | None = None,
    weights: str = "default",
    device: str = "auto",
    sizes: Sequence[int] = SIZES,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    sampling_steps: Sequence[int] = STEPS,
    rounds: int = 3,
    images: int = 4,
    reference_steps: int = 2,
    train_size: int = 256,
    train_batch_size: int = 2,
    train_steps: int = 2,
    train_rounds: int = 1,
    parts: Sequence[str] = tuple(PARTS),
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Measure what a synthesis costs, beside what else there is.

    Args:
        out (Path | None): Folder for ``results.md``, ``results.json`` and ``results.png``; None: nothing is written.
        weights (str): ``default`` or a bundle file.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        sizes (Sequence[int]): Sides of the images in pixels.
        batch_sizes (Sequence[int]): Images in a batch; the middle one is measured with all step counts.
        sampling_steps (Sequence[int]): Sampling steps; the other batch sizes have the default, or the most if that is
            not among them.
        rounds (int): Turns of every measurement, fewer of more than 8 images of 1024 px; medians are over them.
        images (int): Images painted in a turn, more if the batch is larger.
        reference_steps (int): Steps measured of the published sampler's 1000 in a turn, after one that warms up.
        train_size (int): Side of the training images in pixels.
        train_batch_size (int): Images in a training batch.
        train_steps (int): Training steps timed in a fit, after one that warms up.
        train_rounds (int): Fits of each defect.
        parts (Sequence[str]): What to measure: ``painting``, ``arithmetic``, ``split``, ``memory``, ``regions``,
            ``training``.
        progress (Callable[[str, int, int], None] | None): Called with what is done, how much of it, and of how much.

    Returns:
        str: Markdown tables.

    Raises:
        InputError: If an argument cannot be used.
        DeviceError: If the device does not exist here.
        BundleError: If the bundle cannot be used.
        DataError: If the results cannot be written.
    """
    asked: dict[str, Any] = {
        "weights": weights,
        "device": device,
        "sizes": list(sizes),
        "batch_sizes": list(batch_sizes),
        "sampling_steps": list(sampling_steps),
        "rounds": rounds,
        "images": images,
        "reference_steps": reference_steps,
        "train_size": train_size,
        "train_batch_size": train_batch_size,
        "train_steps": train_steps,
        "train_rounds": train_rounds,
        "parts": list(parts),
    }
    _check(asked)
    target, bundle = resolve_device(device), StageBundle.load(weights)
    chosen = {
        "device": str(target),
        "all_steps": list(sampling_steps),
        "steps": CompactBackbone.default_steps
        if CompactBackbone.default_steps in sampling_steps
        else max(sampling_steps),
        "batch_size": sorted(batch_sizes)[len(batch_sizes) // 2],
    }
    results = Measurements(describe_run(asked, target, defaults=_read_defaults()), asked | chosen)
    for part in PARTS:
        if part in parts:
            PARTS[part](results, bundle, target, progress or (lambda *_: None))
    if out is not None:
        write_results(out, results)
    return write_markdown(results)


def _check(asked: dict[str, Any]) -> None:
    for name, value in asked.items():
        option = f"--{name.replace('_', '-')}"
        if value == []:
            msg = f"{option} is empty; give at least one"
            raise InputError(msg)
        lowest = min(value) if isinstance(value, list) else value
        if name in LEAST and lowest < LEAST[name]:
            msg = f"{option} is {lowest}; it must be at least {LEAST[name]}"
            raise InputError(msg)
    unknown = sorted(set(asked["parts"]) - set(PARTS))
    if unknown:
        msg = f"--parts has {unknown[0]!r}; there are {', '.join(PARTS)}"
        raise InputError(msg)


def _read_defaults() -> dict[str, Any]:
    return {name: parameter.default for name, parameter in signature(benchmark_speed).parameters.items()}
