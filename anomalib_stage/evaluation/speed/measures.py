# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a speed benchmark: each measures one thing and enters it into the results."""

from __future__ import annotations

import statistics
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from anomalib_stage.evaluation.speed.arithmetic import PUBLISHED_STEPS, count_flops, published_flops
from anomalib_stage.evaluation.speed.clock import alternate, peak_memory
from anomalib_stage.evaluation.speed.painting import WholeImage, perlin_task, reference_task, stage_task, synthesizer
from anomalib_stage.evaluation.speed.pictures import surfaces
from anomalib_stage.evaluation.speed.regions import region_rate
from anomalib_stage.evaluation.speed.results import BASE, PERLIN, REFERENCE, SAME, STAGE, Time
from anomalib_stage.evaluation.speed.split import time_split
from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from anomalib_stage.evaluation.speed.clock import Task
    from anomalib_stage.evaluation.speed.results import Results
    from anomalib_stage.weights.bundle import StageBundle

    Say = Callable[[str, int, int], None]

__all__ = ["MEASURES"]

CPU_PIXELS = 2**25
"""Most pixels of a batch on a CPU: 32 images of 1024 px, 8 of 2048."""

TURN_PIXELS = 2**23
"""Pixels of a turn, 8 images of 1024 px, beyond which there are fewer turns: many images are a median of their own."""

MEMORY_BATCH = 32
"""Images in the batch whose memory has a target."""


def _fits(batch_size: int, size: int, device: torch.device) -> bool:
    return device.type == "cuda" or batch_size * size * size <= CPU_PIXELS


def _tasks(results: Results, bundle: StageBundle, device: torch.device) -> Iterator[tuple[Task, int]]:
    """Yield what is timed, and the number of images or steps in a turn."""
    asked = results.settings
    for size in asked["sizes"]:
        batches = [batch for batch in asked["batch_sizes"] if _fits(batch, size, device)]
        images = surfaces(size, max([asked["images"], *batches])).to(device)
        for batch in batches:
            many = batch == asked["batch_size"]
            count = max(batch, asked["images"])
            for steps in asked["all_steps"] if many else [asked["steps"]]:
                made = synthesizer(bundle, device, steps=steps)
                yield stage_task((STAGE, size, batch, steps), made, images, batch_size=batch, count=count), count
            if many and size >= BASE:
                same = synthesizer(bundle, device, steps=asked["steps"], size=size)
                key = (SAME, size, batch, asked["steps"])
                yield stage_task(key, same, images, batch_size=batch, count=count), count
        yield perlin_task((PERLIN, size, 1, 0), images, count=asked["images"]), asked["images"]
        wanted = asked["reference_steps"]
        yield reference_task((REFERENCE, size, 1, PUBLISHED_STEPS), bundle, images[0], steps=wanted), 1


def _turns(rounds: int, pixels: int) -> int:
    return max(min(rounds, rounds * TURN_PIXELS // pixels), 1)


def _painting(results: Results, bundle: StageBundle, device: torch.device, say: Say) -> None:
    counts = {task.key: (task, count) for task, count in _tasks(results, bundle, device)}
    rounds = results.settings["rounds"]
    tasks = [replace(task, rounds=_turns(rounds, count * int(task.key[1]) ** 2)) for task, count in counts.values()]
    for key, timing in alternate(tasks, rounds=rounds, progress=say).items():
        source, size, batch, steps = str(key[0]), *map(int, key[1:])
        measured = results.settings["reference_steps"] if source == REFERENCE else steps
        means = [statistics.fmean(pieces) for pieces in timing.rounds]
        results.times.append(Time(source, size, batch, steps, measured, counts[key][1], timing.median, means))


def _arithmetic(results: Results, bundle: StageBundle, device: torch.device, say: Say) -> None:
    del say  # Unused
    count = results.settings["images"]
    images, seeds = surfaces(BASE, count).to(device), [derive_seed(0, "speed", i) for i in range(count)]
    made = synthesizer(bundle, device, steps=results.settings["steps"])
    results.flops = {
        STAGE: count_flops(lambda: made(images, seeds=seeds)) / count,
        REFERENCE: count_flops(WholeImage.of(bundle, images[0]).evaluate) * float(PUBLISHED_STEPS),
        "published": published_flops(),
    }


def _split(results: Results, bundle: StageBundle, device: torch.device, say: Say) -> None:
    asked = results.settings
    made = synthesizer(bundle, device, steps=asked["steps"])
    for i, size in enumerate(asked["sizes"]):
        say(f"split {size}", i, len(asked["sizes"]))
        count = asked["images"]
        images = surfaces(size, count).to(device)
        made(images[:1], seeds=[0])
        turns = _turns(asked["rounds"], count * size**2)
        seeds = [[derive_seed(turn, "speed", i) for i in range(count)] for turn in range(turns)]
        results.split[size] = time_split(made, images, seeds=seeds)


def _memory(results: Results, bundle: StageBundle, device: torch.device, say: Say) -> None:
    asked = results.settings
    made = synthesizer(bundle, device, steps=min(asked["all_steps"]))  # memory is the same for any number
    wanted = [(size, asked["batch_size"]) for size in asked["sizes"] if _fits(asked["batch_size"], size, device)]
    wanted = list(dict.fromkeys([(BASE, MEMORY_BATCH), *wanted]))
    for i, (size, batch) in enumerate(wanted):
        say(f"memory {size}", i, len(wanted))
        images, seeds = surfaces(size, batch).to(device), [derive_seed(0, "speed", i) for i in range(batch)]
        made(images[:1], seeds=[0])
        megabytes = peak_memory(device, lambda images=images, seeds=seeds: made(images, seeds=seeds))  # type: ignore[misc]
        results.memory.append({"size": size, "batch_size": batch, "megabytes": megabytes})


def _regions(results: Results, bundle: StageBundle, device: torch.device, say: Say) -> None:
    del say  # Unused
    count = 512 if device.type == "cuda" else 16
    results.regions = region_rate(bundle, device, count=count, rounds=results.settings["rounds"])


def _training(results: Results, bundle: StageBundle, device: torch.device, say: Say) -> None:
    from anomalib_stage.evaluation.speed.training import MODELS, time_steps  # loads anomalib's models

    del bundle  # Unused
    asked = results.settings
    for i, name in enumerate(MODELS):
        say(f"training {name}", i, len(MODELS))
        times = time_steps(
            name,
            device=device,
            weights=asked["weights"],
            size=asked["train_size"],
            batch_size=asked["train_batch_size"],
            steps=asked["train_steps"],
            rounds=asked["train_rounds"],
        )
        results.training[name] = asdict(times) | {
            "without_ms": statistics.median(times.without),
            "stage_ms": statistics.median(times.stage),
            "painting_ms": statistics.fmean(times.painting),
            "share": times.share,
        }


MEASURES: dict[str, Callable[[Results, StageBundle, torch.device, Say], None]] = {
    "painting": _painting,
    "arithmetic": _arithmetic,
    "split": _split,
    "memory": _memory,
    "regions": _regions,
    "training": _training,
}
"""Parts by name, in the order in which they are measured."""
