# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Paint the regions around masks with a backbone: encode all, fetch once, paint all, fetch once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.profiler import record_function

from anomalib_stage.errors import BundleError, InputError
from anomalib_stage.pipeline.compact_backbone import CompactBackbone
from anomalib_stage.pipeline.host_copy import copy_to_host
from anomalib_stage.pipeline.jobs import GOOD, Job, Patch
from anomalib_stage.pipeline.region_batch import cut_regions, group_regions
from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.blend.feather import INTACT_FADE, feather_alpha, feather_width
from anomalib_stage.synthesis.blend.grain import match_grain
from anomalib_stage.synthesis.blend.nearby_texture import AROUND, measure_nearby_texture
from anomalib_stage.synthesis.blend.two_level import quantize_two_level
from anomalib_stage.synthesis.blend.visibility import find_changed, measure_visibility
from anomalib_stage.synthesis.diffusion.denoising import blend
from anomalib_stage.synthesis.diffusion.published_sampling import sample_reference
from anomalib_stage.synthesis.diffusion.sampling import sample_graded
from anomalib_stage.synthesis.regions import Region, crop
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.source import DEFAULT, resolve_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.backbone import Backbone, Latents
    from anomalib_stage.pipeline.region_batch import RegionBatch
    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.synthesis.diffusion.constraint import Constrain
    from anomalib_stage.synthesis.diffusion.denoising import Conditioning
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["RegionPainter", "load_backbone", "probe_backbone"]

PROBE_STEPS = 2
"""Steps of the small picture that a bundle is tried with: pure noise, and half of it."""


class RegionPainter:
    """Runs graded diffusion on regions; those of one size share the network's calls.

    Args:
        backbone (Backbone): Network and codec.
        device (torch.device): Where to compute.
        settings (SynthesisSettings): How to paint.
    """

    def __init__(self, backbone: Backbone, *, device: torch.device, settings: SynthesisSettings) -> None:
        self.backbone, self.device, self.settings = backbone, device, settings
        self._graded = settings.sampler.name == "graded"

    @property
    def steps(self) -> int:
        """Denoising steps of the graded sampler; of the published one, all of the schedule's."""
        if not self._graded:
            return self.backbone.schedule.steps
        return self.settings.sampler.steps or self.backbone.default_steps

    def paint(self, images: Tensor, jobs: Sequence[Job]) -> list[Patch]:
        """Paint the regions of some jobs; a result depends on its own job and image alone.

        The device is waited for twice, however many regions there are.

        Args:
            images (Tensor): ``(N, 3, H, W)`` float in [0, 1], on any device.
            jobs (Sequence[Job]): What to paint into which of them.

        Returns:
            list[Patch]: One region for each job.
        """
        regions = [self.backbone.region(job) for job in jobs]
        groups = list(group_regions(jobs, regions, most=self.backbone.most_pixels))
        batches = [
            cut_regions(images, [jobs[i] for i in group], [regions[i] for i in group], device=self.device)
            for group in groups
        ]
        latents = [self.backbone.encode(batch) for batch in batches]
        contexts = _fetch_contexts(latents)
        painted = [self._paint(*row) for row in zip(batches, latents, contexts, strict=True)]
        measured = [self._measure(images, *row) for row in zip(batches, painted, strict=True)]
        patches: dict[int, Patch] = {}
        rows = zip(groups, batches, painted, copy_to_host(measured), strict=True)
        for group, batch, pixels, numbers in rows:
            patches.update(zip(group, _collect(batch, pixels, numbers), strict=True))
        return [patches[i] for i in range(len(jobs))]

    def _paint(self, batch: RegionBatch, latents: Latents, context: NDArray[np.float32] | None) -> Tensor:
        """Paint regions of one size, ``(B, 3, h, w)``."""
        conditioning, constrain = self.backbone.condition(batch, latents, context)
        with record_function("stage::denoise"):
            sampled = self._sample(batch, conditioning, constrain)
        painted = self.backbone.decode(sampled, batch, latents.hole)
        with record_function("stage::blend"):
            # a grey camera makes grey defects: three equal channels stay equal
            grey = (batch.pixels == batch.pixels[:, :1]).flatten(1).all(dim=1).view(-1, 1, 1, 1)
            painted = torch.where(grey, painted.mean(dim=1, keepdim=True), painted)
            return self._blend(painted, batch) if self._graded else painted

    def _sample(self, batch: RegionBatch, conditioning: Conditioning, constrain: Constrain) -> Tensor:
        sampler, backbone, clean = self.settings.sampler, self.backbone, conditioning.clean
        if self._graded and not batch.needs_network:  # whatever the estimate, it becomes what is asked
            return blend(conditioning.mask, constrain(clean), clean)
        streams = [stream for job in batch.jobs for stream in generators([job.seed], "noise", *job.again)]
        noise = standard_normal(tuple(clean.shape[1:]), streams).to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            if self._graded:
                return sample_graded(
                    backbone.denoiser,
                    conditioning,
                    schedule=backbone.schedule,
                    noise=noise,
                    steps=self.steps,
                    windows=sampler.windows,
                    constrain=constrain,
                )
            return sample_reference(
                backbone.denoiser,
                conditioning,
                schedule=backbone.schedule,
                start=noise,
                normal=lambda wanted: standard_normal(wanted[1:], streams).to(self.device),
                windows=sampler.windows,
            )

    def _blend(self, painted: Tensor, batch: RegionBatch) -> Tensor:
        """Take out of painted regions what betrays them: another grain, other edges, a third level.

        Anomalies with an exemplar's detail have its edges, and unless they were reduced or enlarged a camera's grain.
        """
        jobs = batch.jobs
        if self.settings.match_grain:
            intact = torch.tensor([job.defect == GOOD for job in jobs]).to(self.device)
            grained = match_grain(painted, batch.pixels, batch.inside, intact=intact)
            sharp = torch.tensor([bool(job.transfer and job.exemplar and job.exemplar.sharp) for job in jobs])
            painted = torch.where(sharp.view(-1, 1, 1, 1).to(self.device), painted, grained)
        alphas = np.stack([_feather(job, crop(job.mask, region)) for job, region in _rows(batch)])
        painted = torch.lerp(batch.pixels, painted, torch.from_numpy(alphas)[:, None].to(self.device))
        return quantize_two_level(painted, batch.inside, batch.levels)

    def _measure(self, images: Tensor, batch: RegionBatch, painted: Tensor) -> Tensor:
        """Measure each region: score, agreement, exactness, finiteness, and what is visible, ``(B, 4 + h * w)``."""
        with record_function("stage::visibility"):
            texture = self._measure_texture(images, batch)
            seen = measure_visibility(batch.pixels, painted, batch.inside, texture=texture)
            exact = ~batch.levels.isnan().flatten(1).any(dim=1)
            changed = find_changed(batch.pixels, painted, batch.inside)
            visible = torch.where(exact.view(-1, 1, 1, 1), changed, seen.seen)
            numbers = torch.stack([seen.score, seen.agreement, exact.float()], dim=1)
            finite = painted.flatten(1).isfinite().all(dim=1, keepdim=True).float()
            return torch.cat([numbers, finite, visible.flatten(1).float()], dim=1)

    def _measure_texture(self, images: Tensor, batch: RegionBatch) -> Tensor:
        """Measure the texture near each anomaly; it may lie beyond the region."""
        wide = [(job, region.widen(AROUND)) for job, region in _rows(batch)]
        clean = torch.stack([crop(images[job.index], region).float() for job, region in wide]).to(self.device)
        inside = torch.stack([crop(job.mask, region) for job, region in wide]).to(self.device)
        return measure_nearby_texture(clean, inside)


def load_backbone(bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> Backbone:
    """Build the backbone of a bundle.

    Args:
        bundle (StageBundle): Weights.
        device (torch.device): Where to compute.
        settings (SynthesisSettings): How to paint.

    Raises:
        BundleError: If its networks cannot be built, or do not paint a small region with finite pixels; the packaged
            bundle is not tried.
    """
    try:
        backbone = _build_backbone(bundle, device=device, settings=settings)
        if bundle.path is None or bundle.path != resolve_source(DEFAULT):
            probe_backbone(backbone, bundle, device=device, settings=settings)
    except (BundleError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # networks that do not fit their configuration fail in many ways
        said = str(error) if isinstance(error, InputError) else repr(error)
        msg = (
            f"{bundle.path}: its networks cannot be built or do not paint: {said}; get the file again, or fit it again"
        )
        raise BundleError(msg) from error
    return backbone


@torch.no_grad()
def probe_backbone(
    backbone: Backbone, bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings
) -> None:
    """Paint every defect into a small region, in few steps.

    Raises:
        BundleError: If a pixel is not finite.
    """
    side = backbone.smallest_region
    rows = torch.linspace(0.2, 0.8, side)
    image = (rows[:, None] * rows).sqrt().expand(1, 3, side, side).contiguous()
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[:, side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = True
    jobs = [Job(0, defect, 0, mask) for defect in bundle.defects]
    region, damaged = Region(0, 0, side, side), []
    with torch.compiler.set_stance("force_eager"):  # nothing is compiled for a region that is never painted again
        for group in group_regions(jobs, [region] * len(jobs), most=backbone.most_pixels):
            batch = cut_regions(image, [jobs[i] for i in group], [region] * len(group), device=device)
            latents = backbone.encode(batch)
            conditioning, constrain = backbone.condition(batch, latents, _fetch_contexts([latents])[0])
            noise = torch.cat([standard_normal(tuple(latents.clean.shape[1:]), generators([0], "noise"))] * len(group))
            with torch.autocast(device.type, enabled=False):
                sampled = sample_graded(
                    backbone.denoiser,
                    conditioning,
                    schedule=backbone.schedule,
                    noise=noise.to(device),
                    steps=PROBE_STEPS,
                    windows=settings.sampler.windows,
                    constrain=constrain,
                )
            painted = torch.stack(
                [sampled.flatten(1).sum(dim=1), backbone.decode(sampled, batch, latents.hole).flatten(1).sum(dim=1)]
            )
            damaged += [
                jobs[i].defect
                for i, finite in zip(group, painted.isfinite().all(dim=0).tolist(), strict=True)
                if not finite
            ]
    if damaged:
        msg = (
            f"{bundle.path}: paints pixels that are not finite, seen in a small picture of {shorten(damaged)}; weights "
            "or noise schedule are damaged: get the file again, or fit it again"
        )
        raise BundleError(msg)


def _build_backbone(bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> Backbone:
    if bundle.manifest.backbone == "latent":
        from anomalib_stage.pipeline.latent_backbone import LatentBackbone  # loads the large networks of diffusers

        return LatentBackbone(bundle, device=device, settings=settings)
    return CompactBackbone(bundle, device=device, settings=settings)


def _rows(batch: RegionBatch) -> Sequence[tuple[Job, Region]]:
    return list(zip(batch.jobs, batch.regions, strict=True))


def _feather(job: Job, mask: Tensor) -> NDArray[np.float32]:
    """Return the share of the painted pixel in each pixel of a region, ``(h, w)``."""
    inside = mask[0].numpy()
    return feather_alpha(inside, INTACT_FADE if job.defect == GOOD else feather_width(inside, job.softness))


def _fetch_contexts(latents: Sequence[Latents]) -> list[NDArray[np.float32] | None]:
    asked = [one.context for one in latents if one.context is not None]
    fetched = iter(copy_to_host(asked))
    return [None if one.context is None else next(fetched) for one in latents]


def _collect(batch: RegionBatch, painted: Tensor, numbers: NDArray[np.float32]) -> list[Patch]:
    """Make patches of the numbers of :meth:`RegionPainter._measure`."""
    height, width = painted.shape[2:]
    _check_finite(batch, numbers[:, 3] > 0)
    seen = torch.from_numpy(numbers[:, 4:] > 0).view(-1, 1, height, width)
    rows = zip(batch.regions, painted, numbers[:, :3].tolist(), seen, strict=True)
    return [
        Patch(region, pixels, score, agreement, bool(exact), part)
        for region, pixels, (score, agreement, exact), part in rows
    ]


def _check_finite(batch: RegionBatch, finite: NDArray[np.bool_]) -> None:
    """Refuse pictures that are not numbers; they would go into a training unseen."""
    if not finite.all():
        seen = shorten(sorted({job.defect for job, one in zip(batch.jobs, finite, strict=True) if not one}))
        msg = (
            f"pixels painted of {seen} are not finite: the weights or the noise schedule are damaged, or half "
            "precision is too small for them; get the bundle again, fit it again, or paint in fp32"
        )
        raise BundleError(msg)
