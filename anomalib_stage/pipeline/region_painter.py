# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Paint the regions around masks with a bundle's network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from anomalib_stage.pipeline.conditioning import Conditioner
from anomalib_stage.pipeline.jobs import Job, Patch
from anomalib_stage.pipeline.mask_drawer import GOOD
from anomalib_stage.seeds import generators, numpy_generator, standard_normal
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.blend.feather import INTACT_FADE, feather_alpha, feather_width
from anomalib_stage.synthesis.blend.grain import match_grain
from anomalib_stage.synthesis.blend.two_level import find_two_levels, quantize_two_level
from anomalib_stage.synthesis.blend.visibility import AROUND, find_changed, measure_nearby_texture, measure_visibility
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.diffusion.fast_denoiser import build_fast_denoiser
from anomalib_stage.synthesis.diffusion.sampling import sample_graded, sample_reference
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.synthesis.fetching import run_together
from anomalib_stage.synthesis.regions import crop, region_around
from anomalib_stage.weights.compact import load_denoiser, load_softness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.diffusion.sampling import Conditioning
    from anomalib_stage.synthesis.fetching import Steps
    from anomalib_stage.synthesis.regions import Region
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Job", "Patch", "RegionPainter"]

AS_MEASURED = (0.5, 1.5)
"""Softness of an anomaly relative to that measured for its defect."""


class RegionPainter:
    """Runs graded diffusion on regions; those of one size share the network's calls.

    Args:
        bundle (StageBundle): Weights.
        device (torch.device): Where to compute.
        settings (SynthesisSettings): How to paint.

    Raises:
        BundleError: If the bundle's network cannot be built.
    """

    few: ClassVar[int] = 8
    """Denoising steps if none are given. More changed nothing that was measured; four left a trace on one data set
    (docs/concepts/speed.md)."""

    def __init__(self, bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> None:
        self.device, self.settings = device, settings
        self._network = load_denoiser(bundle).eval().requires_grad_(requires_grad=False).to(device)
        self._codec = PixelCodec(round(self._network.cells**0.5))
        self._schedule, self._softness = Schedule(bundle.manifest.schedule), load_softness(bundle)
        self._denoiser, self._clip = build_fast_denoiser(self._network), settings.sampler.clip
        self._guide = Conditioner(bundle, self._network, codec=self._codec, settings=settings)

    @property
    def steps(self) -> int:
        """Denoising steps of the graded sampler; of the published one, all of the schedule's."""
        if self.settings.sampler.name == "reference":
            return self._schedule.steps
        return self.settings.sampler.steps or self.few

    def paint(self, jobs: Sequence[Job]) -> list[Patch]:
        """Paint the regions of some jobs; a result depends on its own job alone.

        The device is waited for three times, however many regions there are.

        Args:
            jobs (Sequence[Job]): What to paint; the images may have different sizes.

        Returns:
            list[Patch]: One region for each job.
        """
        regions = [self._region(job) for job in jobs]
        settled = [bool((real := self._real(job)) and real.whole) for job in jobs]
        groups = list(_groups(regions, settled, self._together()))
        painted = run_together([self._paint([jobs[i] for i in group], [regions[i] for i in group]) for group in groups])
        patches: dict[int, Patch] = {}
        for group, together in zip(groups, painted, strict=True):
            patches.update(zip(group, together, strict=True))
        return [patches[i] for i in range(len(jobs))]

    def _region(self, job: Job) -> Region:
        return region_around(job.mask[0].numpy(), margin=self.settings.margin)

    def _together(self) -> int:
        """Pixels in one call of the network."""
        return self.settings.region_batch * 64 * 64

    def _paint(self, jobs: Sequence[Job], regions: Sequence[Region]) -> Steps[list[Patch]]:
        """Paint regions of one size."""
        cuts = list(zip(jobs, regions, strict=True))
        pixels = torch.stack([crop(job.image, region).float() for job, region in cuts]).to(self.device)
        pixels = pixels.as_subclass(torch.Tensor)
        inside = torch.stack([crop(job.mask, region) for job, region in cuts]).to(self.device)
        painted = yield from self._pictures(pixels, inside, cuts)
        # a grey camera makes grey defects: three equal channels stay equal
        grey = (pixels == pixels[:, :1]).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        painted = torch.where(grey, painted.mean(dim=1, keepdim=True), painted)
        levels = torch.stack([find_two_levels(job.image) for job in jobs]).to(self.device)
        if self.settings.sampler.name == "graded":
            painted = quantize_two_level(self._blended(painted, pixels, inside, cuts), inside, levels)
        seen = measure_visibility(pixels, painted, inside, texture=self._texture(cuts))
        exact = ~levels.isnan().flatten(1).any(dim=1)
        visible = torch.where(exact.view(-1, 1, 1, 1), find_changed(pixels, painted, inside), seen.seen)
        numbers = yield torch.stack([seen.score, seen.agreement, exact.float()])
        where = yield visible.float()
        parts = torch.from_numpy(where) > 0
        return [Patch(*row) for row in zip(regions, painted, *numbers.tolist(), parts, strict=True)]

    def _blended(self, painted: Tensor, clean: Tensor, inside: Tensor, cuts: Sequence[tuple[Job, Region]]) -> Tensor:
        """Take out of painted regions what betrays them: another grain, other edges, a third level.

        Anomalies with an exemplar's detail have its edges, and unless they were reduced or enlarged a camera's grain.
        """
        if self.settings.match_grain:
            intact = torch.tensor([job.defect == GOOD for job, _ in cuts]).to(self.device)
            grained = match_grain(painted, clean, inside, intact=intact)
            sharp = torch.tensor([bool((real := self._real(job)) and real.sharp) for job, _ in cuts]).to(self.device)
            painted = torch.where(sharp.view(-1, 1, 1, 1), painted, grained)
        masks = [(job, crop(job.mask, region)[0].numpy()) for job, region in cuts]
        shares = np.stack([feather_alpha(mask, self._fade(job, mask)) for job, mask in masks])
        return torch.lerp(clean, painted, torch.from_numpy(shares)[:, None].to(self.device))

    def _fade(self, job: Job, mask: NDArray[np.bool_]) -> float:
        """Pixels over which a job's anomaly fades."""
        if job.defect == GOOD:
            return INTACT_FADE
        if self._real(job) is not None:
            return feather_width(mask, 0.0)
        rng, measured = numpy_generator(job.seed, "edge"), self._softness.get(job.defect)
        low, high = self.settings.softness
        if measured is None or not high:
            return feather_width(mask, low + (high - low) * float(rng.uniform()) ** 2)
        return feather_width(mask, min(measured * float(rng.uniform(*AS_MEASURED)), 1.0))

    def _real(self, job: Job) -> Exemplar | None:
        """Return the exemplar whose detail a job's anomaly has, if there is one."""
        found = self._guide.taken(job)
        return found and found.exemplar

    def _pictures(self, pixels: Tensor, inside: Tensor, cuts: Sequence[tuple[Job, Region]]) -> Steps[Tensor]:
        """Paint regions ``(B, 3, h, w)`` with anomalies where ``inside`` says."""
        jobs = [job for job, _ in cuts]
        clean, hole = self._codec.encode(pixels), self._codec.encode_mask(inside)
        unknown = torch.stack([_unknown(job, region) for job, region in cuts]).to(self.device)
        surround = torch.where(hole > 0, fill_hole(clean, self._codec.encode_mask(unknown)), clean)
        conditioning = yield from self._guide(clean, hole, surround, cuts)
        return self._codec.decode(self._sample(conditioning, jobs))

    def _texture(self, cuts: Sequence[tuple[Job, Region]]) -> Tensor:
        """Measure the texture near each anomaly; it may lie beyond the region."""
        wide = [(job, region.wider(AROUND)) for job, region in cuts]
        clean = torch.stack([crop(job.image, region).float() for job, region in wide]).to(self.device)
        return measure_nearby_texture(
            clean, torch.stack([crop(job.mask, region) for job, region in wide]).to(self.device)
        )

    def _sample(self, conditioning: Conditioning, jobs: Sequence[Job]) -> Tensor:
        sampler = self.settings.sampler
        streams = [stream for job in jobs for stream in generators([job.seed], "noise", *job.again)]
        noise = standard_normal(tuple(conditioning.clean.shape[1:]), streams).to(self.device)
        strengths = [job.strength for job in jobs]
        with torch.autocast(self.device.type, enabled=False):
            if sampler.name == "graded":
                return sample_graded(
                    self._denoiser,
                    conditioning,
                    schedule=self._schedule,
                    noise=noise,
                    steps=self.steps,
                    windows=sampler.windows,
                    clip=self._clip,
                    strength=None if min(strengths) == 1.0 else torch.tensor(strengths).to(self.device),
                )
            return sample_reference(
                self._denoiser,
                conditioning,
                schedule=self._schedule,
                start=noise,
                normal=lambda wanted: standard_normal(wanted[1:], streams).to(self.device),
                windows=sampler.windows,
            )


def _unknown(job: Job, region: Region) -> Tensor:
    """Pixels of a region that say nothing about the surface under the mask: the mask, and what is not the object."""
    inside = crop(job.mask, region)
    if job.foreground is None:
        return inside
    beside = inside | ~crop(job.foreground, region)
    return inside if beside.numpy().all() else beside


def _groups(regions: Sequence[Region], settled: Sequence[bool], limit: int) -> Iterator[list[int]]:
    """Positions of regions of one size that all need the network or all do not, at most ``limit`` pixels at once."""
    by_size: dict[tuple[int, int, bool], list[int]] = {}
    for i, region in enumerate(regions):
        by_size.setdefault((region.height, region.width, settled[i]), []).append(i)
    for (height, width, _), members in by_size.items():
        most = max(limit // (height * width), 1)
        for start in range(0, len(members), most):
            yield members[start : start + most]
