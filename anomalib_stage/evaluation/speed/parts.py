# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a speed benchmark: each measures one thing and enters it."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING

from anomalib_stage.evaluation.speed.contenders import (
    build_synthesizer,
)
from anomalib_stage.evaluation.speed.image_times import fits_device, limit_turns, time_painting
from anomalib_stage.evaluation.speed.instruments.arithmetic import PUBLISHED_STEPS, count_flops, count_published_flops
from anomalib_stage.evaluation.speed.instruments.memory import measure_peak
from anomalib_stage.evaluation.speed.instruments.split import split_time
from anomalib_stage.evaluation.speed.measurements import BASE, REFERENCE, STAGE
from anomalib_stage.evaluation.speed.regions import measure_region_rate
from anomalib_stage.evaluation.speed.timed_images import render_timed_images
from anomalib_stage.evaluation.speed.whole_image import WholeImage
from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from anomalib_stage.evaluation.speed.measurements import Measurements
    from anomalib_stage.weights.bundle import StageBundle

    Say = Callable[[str, int, int], None]

__all__ = ["PARTS"]

MEMORY_BATCH = 32
"""Images in the batch whose memory has a target."""


def _count_arithmetic(results: Measurements, bundle: StageBundle, device: torch.device, say: Say) -> None:
    del say  # Unused
    count = results.settings["images"]
    images, seeds = render_timed_images(BASE, count).to(device), [derive_seed(0, "speed", i) for i in range(count)]
    made = build_synthesizer(bundle, device, steps=results.settings["steps"])
    results.flops = {
        STAGE: count_flops(lambda: made(images, seeds=seeds)) / count,
        REFERENCE: count_flops(WholeImage.prepare(bundle, images[0]).evaluate) * float(PUBLISHED_STEPS),
        "published": count_published_flops(),
    }


def _split_time(results: Measurements, bundle: StageBundle, device: torch.device, say: Say) -> None:
    asked = results.settings
    made = build_synthesizer(bundle, device, steps=asked["steps"])
    for i, size in enumerate(asked["sizes"]):
        say(f"split {size}", i, len(asked["sizes"]))
        count = asked["images"]
        images = render_timed_images(size, count).to(device)
        made(images[:1], seeds=[0])
        turns = limit_turns(asked["rounds"], count * size**2)
        seeds = [[derive_seed(turn, "speed", i) for i in range(count)] for turn in range(turns)]
        results.split[size] = split_time(
            lambda images=images, seeds=seeds: [  # type: ignore[misc]
                made(images.roll(turn + 1, dims=3), seeds=some) for turn, some in enumerate(seeds)
            ],
            images=count * turns,
            device=device,
        )


def _measure_memory(results: Measurements, bundle: StageBundle, device: torch.device, say: Say) -> None:
    asked = results.settings
    made = build_synthesizer(bundle, device, steps=min(asked["all_steps"]))  # memory is the same for any number
    wanted = [(size, asked["batch_size"]) for size in asked["sizes"] if fits_device(asked["batch_size"], size, device)]
    wanted = list(dict.fromkeys([(BASE, MEMORY_BATCH), *wanted]))
    for i, (size, batch) in enumerate(wanted):
        say(f"memory {size}", i, len(wanted))
        images, seeds = render_timed_images(size, batch).to(device), [derive_seed(0, "speed", i) for i in range(batch)]
        made(images[:1], seeds=[0])
        megabytes = measure_peak(device, lambda images=images, seeds=seeds: made(images, seeds=seeds))  # type: ignore[misc]
        results.memory.append({"size": size, "batch_size": batch, "megabytes": megabytes})


def _time_regions(results: Measurements, bundle: StageBundle, device: torch.device, say: Say) -> None:
    del say  # Unused
    count = 512 if device.type == "cuda" else 16
    results.regions = measure_region_rate(bundle, device, count=count, rounds=results.settings["rounds"])


def _time_training(results: Measurements, bundle: StageBundle, device: torch.device, say: Say) -> None:
    from anomalib_stage.evaluation.speed.training_steps import MODELS, time_steps  # loads anomalib's models

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


PARTS: dict[str, Callable[[Measurements, StageBundle, torch.device, Say], None]] = {
    "painting": time_painting,
    "arithmetic": _count_arithmetic,
    "split": _split_time,
    "memory": _measure_memory,
    "regions": _time_regions,
    "training": _time_training,
}
"""Parts by name, in the order in which they are measured."""
