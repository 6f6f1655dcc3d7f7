# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The three ways to an anomalous image that are timed: this package, Perlin noise, and the published sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.evaluation.speed.instruments.arithmetic import PUBLISHED_STEPS
from anomalib_stage.evaluation.speed.instruments.clock import Task, now
from anomalib_stage.evaluation.speed.whole_image import WholeImage
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.seeds import derive_seed
from anomalib_stage.settings import MaskSettings, SamplerSettings, SynthesisSettings

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["build_perlin_task", "build_reference_task", "build_stage_task", "build_synthesizer"]


def build_synthesizer(
    bundle: StageBundle, device: torch.device, *, steps: int, size: int | None = None
) -> StageSynthesizer:
    """Return the synthesizer to time: default settings but for the steps.

    Args:
        bundle (StageBundle): Weights.
        device (torch.device): Where to paint.
        steps (int): Denoising steps.
        size (int | None): Side of the images, to give defects the size in pixels that they have at 256 px; None: they
            grow with the image, as by default.
    """
    masks = MaskSettings()
    if size is not None:
        low, high = masks.extent
        masks = MaskSettings(extent=(low * 256 / size, high * 256 / size))
    return StageSynthesizer(
        bundle, device=device, synthesis=SynthesisSettings(sampler=SamplerSettings(steps=steps), masks=masks)
    )


def build_stage_task(
    key: tuple[str | int, ...], synthesize: StageSynthesizer, images: Tensor, *, batch_size: int, count: int
) -> Task:
    """Paint ``count`` anomalies in batches; the same seeds, and so the same anomalies, for every batch size.

    The images are moved from round to round, so that no foreground is remembered.
    """
    device = synthesize.device

    def run(turn: int) -> list[float]:
        moved, seeds = images.roll(turn + 1, dims=3), [derive_seed(turn, "speed", i) for i in range(count)]
        pieces = []
        for start in range(0, count, batch_size):
            rows = slice(start, min(start + batch_size, count))
            begin = now(device)
            synthesize(moved[rows], seeds=seeds[rows])
            pieces += [(now(device) - begin) * 1000.0 / len(seeds[rows])] * len(seeds[rows])
        return pieces

    return Task(key, run, lambda: synthesize(images[:1], seeds=[0]))


def build_perlin_task(key: tuple[str | int, ...], images: Tensor, *, count: int) -> Task:
    """Let anomalib's generator do the same, with its defaults and an anomaly in every image; it takes single images."""
    from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator

    device = images.device

    def make(turn: int, wanted: int) -> list[float]:
        with torch.random.fork_rng():  # it draws from torch's global stream
            torch.manual_seed(derive_seed(turn, "speed perlin"))
            generator = PerlinAnomalyGenerator(probability=1.0)
            pieces = []
            for image in images[:wanted]:
                begin = now(device)
                generator(image)
                pieces.append((now(device) - begin) * 1000.0)
        return pieces

    return Task(key, lambda turn: make(turn, count), lambda: make(0, 1))


def build_reference_task(key: tuple[str | int, ...], bundle: StageBundle, image: Tensor, *, steps: int) -> Task:
    """Time some steps of the published sampler; its milliseconds are those of an image, all 1000 steps."""
    whole = WholeImage.prepare(bundle, image)

    def run(turn: int) -> list[float]:
        return [step * PUBLISHED_STEPS for step in whole.time_steps(steps, seed=turn)]

    return Task(key, run, whole.evaluate)
