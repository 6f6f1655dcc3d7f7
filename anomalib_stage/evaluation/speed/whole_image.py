# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The published sampler on a whole image, step by step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from anomalib_stage.evaluation.speed.instruments.clock import now
from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.diffusion.compact.fast_denoiser import build_fast_denoiser
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.published_sampling import sample_reference
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.weights.compact import load_denoiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.synthesis.diffusion.denoising import Denoiser
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["WholeImage"]


class _EnoughError(Exception):
    """The steps that were wanted are done."""


@dataclass(frozen=True, eq=False)
class WholeImage:
    """The published sampler on a whole image, with the compact network in the place of the published one.

    Args:
        denoiser (Denoiser): The network as the synthesizer runs it.
        conditioning (Conditioning): The image, and a mask in its middle.
        schedule (Schedule): Noise schedule of the network.
    """

    denoiser: Denoiser
    conditioning: Conditioning
    schedule: Schedule

    @classmethod
    def prepare(cls, bundle: StageBundle, image: Tensor) -> WholeImage:
        """Prepare one image ``(3, H, W)`` in [0, 1], on the device to compute on."""
        network = load_denoiser(bundle).eval().requires_grad_(requires_grad=False).to(image.device)
        codec = PixelCodec(round(network.cells**0.5))
        mask = torch.zeros_like(image[None, :1], dtype=torch.bool)
        height, width = mask.shape[2:]
        mask[..., height // 2 - 16 : height // 2 + 16, width // 2 - 16 : width // 2 + 16] = True
        clean, hole = codec.encode(image[None]), codec.encode_mask(mask)
        filled = torch.where(hole > 0, fill_hole(clean, hole), clean)
        defect = bundle.manifest.defects[0].name
        conditioning = Conditioning(
            clean, hole, network.condition([defect]), filled=filled, contrast=clean.new_zeros(1)
        )
        return cls(build_fast_denoiser(network), conditioning, Schedule(bundle.manifest.schedule))

    def evaluate(self) -> Tensor:
        """Evaluate the network once."""
        t = torch.full((1,), self.schedule.steps - 1, device=self.conditioning.clean.device)
        mask = self.conditioning.mask
        return self.denoiser(self.conditioning.clean, t, conditioning=self.conditioning, aligned=mask, branch="aware")

    @torch.no_grad()
    def time_steps(self, count: int, *, seed: int) -> list[float]:
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
