# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The three ways to an anomalous image that are timed: this package, Perlin noise, and the published sampler."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from anomalib_stage.evaluation.speed.arithmetic import PUBLISHED_STEPS
from anomalib_stage.evaluation.speed.clock import Task, now
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.seeds import derive_seed, generators, standard_normal
from anomalib_stage.settings import MaskSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.diffusion.fast_denoiser import build_fast_denoiser
from anomalib_stage.synthesis.diffusion.sampling import Conditioning, sample_reference
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.weights.compact import load_denoiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.sampling import Denoiser
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["WholeImage", "perlin_task", "reference_task", "stage_task", "synthesizer"]


def synthesizer(bundle: StageBundle, device: torch.device, *, steps: int, size: int | None = None) -> StageSynthesizer:
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
        bundle, device=device, settings=SynthesisSettings(sampler=SamplerSettings(steps=steps), masks=masks)
    )


def stage_task(
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


def perlin_task(key: tuple[str | int, ...], images: Tensor, *, count: int) -> Task:
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


class _EnoughError(Exception):
    """The steps that were wanted are done."""


@dataclass(frozen=True, eq=False)
class WholeImage:
    """The published sampler on a whole image, with the compact network in the place of the published one.

    Args:
        denoiser (Denoiser): The network as the synthesizer runs it.
        conditioning (Guidance): The image, and a mask in its middle.
        schedule (Schedule): Noise schedule of the network.
    """

    denoiser: Denoiser
    conditioning: Conditioning
    schedule: Schedule

    @classmethod
    def of(cls, bundle: StageBundle, image: Tensor) -> WholeImage:
        """Prepare one image ``(3, H, W)`` in [0, 1], on the device to compute on."""
        network = load_denoiser(bundle).eval().requires_grad_(requires_grad=False).to(image.device)
        codec = PixelCodec(round(network.cells**0.5))
        mask = torch.zeros_like(image[None, :1], dtype=torch.bool)
        height, width = mask.shape[2:]
        mask[..., height // 2 - 16 : height // 2 + 16, width // 2 - 16 : width // 2 + 16] = True
        clean, hole = codec.encode(image[None]), codec.encode_mask(mask)
        surround = torch.where(hole > 0, fill_hole(clean, hole), clean)
        defect = bundle.manifest.defects[0].name
        conditioning = Conditioning(
            clean, hole, network.condition([defect]), surround=surround, contrast=clean.new_zeros(1)
        )
        return cls(build_fast_denoiser(network), conditioning, Schedule(bundle.manifest.schedule))

    def evaluate(self) -> Tensor:
        """Evaluate the network once."""
        t = torch.full((1,), self.schedule.steps - 1, device=self.conditioning.clean.device)
        mask = self.conditioning.mask
        return self.denoiser(self.conditioning.clean, t, conditioning=self.conditioning, aligned=mask, branch="aware")

    @torch.no_grad()
    def steps(self, count: int, *, seed: int) -> list[float]:
        """Run the first steps of the published loop, and return the milliseconds of each but the first."""
        device, ticks = self.conditioning.clean.device, list[float]()
        streams = generators([seed], "speed reference")

        def tick(*_: object) -> None:
            ticks.append(now(device))
            if len(ticks) > count:
                raise _EnoughError

        def normal(shape: Sequence[int]) -> Tensor:
            return standard_normal(shape[1:], streams).to(device)

        start, tables = normal(self.conditioning.clean.shape), self.schedule
        with suppress(_EnoughError):
            sample_reference(
                self.denoiser, self.conditioning, schedule=tables, start=start, normal=normal, observe=tick
            )
        return [(after - before) * 1000.0 for before, after in pairwise(ticks)]


def reference_task(key: tuple[str | int, ...], bundle: StageBundle, image: Tensor, *, steps: int) -> Task:
    """Time some steps of the published sampler; its milliseconds are those of an image, all 1000 steps."""
    whole = WholeImage.of(bundle, image)

    def run(turn: int) -> list[float]:
        return [step * PUBLISHED_STEPS for step in whole.steps(steps, seed=turn)]

    return Task(key, run, whole.evaluate)
