# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Part ``painting``: the time of an image by every contender, size, batch size and number of steps."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from anomalib_stage.evaluation.speed.contenders import (
    build_perlin_task,
    build_reference_task,
    build_stage_task,
    build_synthesizer,
)
from anomalib_stage.evaluation.speed.instruments.arithmetic import PUBLISHED_STEPS
from anomalib_stage.evaluation.speed.instruments.clock import alternate
from anomalib_stage.evaluation.speed.measurements import BASE, PERLIN, REFERENCE, SAME, STAGE, Time
from anomalib_stage.evaluation.speed.timed_images import render_timed_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from anomalib_stage.evaluation.speed.instruments.clock import Task
    from anomalib_stage.evaluation.speed.measurements import Measurements
    from anomalib_stage.weights.bundle import StageBundle

    Say = Callable[[str, int, int], None]

__all__ = ["fits_device", "limit_turns", "time_painting"]

CPU_PIXELS = 2**25
"""Most pixels of a batch on a CPU: 32 images of 1024 px, 8 of 2048."""

TURN_PIXELS = 2**23
"""Pixels of a turn, 8 images of 1024 px, beyond which there are fewer turns: many images are a median of their own."""


def fits_device(batch_size: int, size: int, device: torch.device) -> bool:
    """Return whether a batch is measured on a device: on a CPU the largest are left out."""
    return device.type == "cuda" or batch_size * size * size <= CPU_PIXELS


def _build_tasks(results: Measurements, bundle: StageBundle, device: torch.device) -> Iterator[tuple[Task, int]]:
    """Yield what is timed, and the number of images or steps in a turn."""
    asked = results.settings
    for size in asked["sizes"]:
        batches = [batch for batch in asked["batch_sizes"] if fits_device(batch, size, device)]
        images = render_timed_images(size, max([asked["images"], *batches])).to(device)
        for batch in batches:
            many = batch == asked["batch_size"]
            count = max(batch, asked["images"])
            for steps in asked["all_steps"] if many else [asked["steps"]]:
                made = build_synthesizer(bundle, device, steps=steps)
                yield build_stage_task((STAGE, size, batch, steps), made, images, batch_size=batch, count=count), count
            if many and size >= BASE:
                same = build_synthesizer(bundle, device, steps=asked["steps"], size=size)
                key = (SAME, size, batch, asked["steps"])
                yield build_stage_task(key, same, images, batch_size=batch, count=count), count
        yield build_perlin_task((PERLIN, size, 1, 0), images, count=asked["images"]), asked["images"]
        wanted = asked["reference_steps"]
        yield build_reference_task((REFERENCE, size, 1, PUBLISHED_STEPS), bundle, images[0], steps=wanted), 1


def limit_turns(rounds: int, pixels: int) -> int:
    """Return how many of the turns something has whose turn paints so many pixels."""
    return max(min(rounds, rounds * TURN_PIXELS // pixels), 1)


def time_painting(results: Measurements, bundle: StageBundle, device: torch.device, say: Say) -> None:
    """Time every contender by turns and enter the times."""
    counts = {task.key: (task, count) for task, count in _build_tasks(results, bundle, device)}
    rounds = results.settings["rounds"]
    tasks = [
        replace(task, rounds=limit_turns(rounds, count * int(task.key[1]) ** 2)) for task, count in counts.values()
    ]
    for key, timing in alternate(tasks, rounds=rounds, progress=say).items():
        source, size, batch, steps = str(key[0]), *map(int, key[1:])
        measured = results.settings["reference_steps"] if source == REFERENCE else steps
        means = [statistics.fmean(pieces) for pieces in timing.rounds]
        results.times.append(Time(source, size, batch, steps, measured, counts[key][1], timing.median, means))
