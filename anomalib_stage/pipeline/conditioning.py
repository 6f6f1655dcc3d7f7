# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Say what a compact network is to paint: appearances that suit the surface, textures that go on, real detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.appearance.appearance import COLOURS, spread
from anomalib_stage.synthesis.appearance.colour_shift import ANY_COLOUR, draw_colour_shift
from anomalib_stage.synthesis.appearance.exemplar import HANDED_BACK, extract_detail, warp_exemplars
from anomalib_stage.synthesis.appearance.texture_transfer import compute_texture_weight, transfer_texture
from anomalib_stage.synthesis.diffusion.constraint import build_constraint
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.weights.compact import load_appearances, load_texture_continuity

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.backbone import Latents
    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.pipeline.region_batch import RegionBatch
    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.synthesis.diffusion.codec import PixelCodec
    from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
    from anomalib_stage.synthesis.diffusion.constraint import Constrain
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Conditioner"]


class Conditioner:
    """Draws from the jobs' seeds what their anomalies are to look like.

    Args:
        bundle (StageBundle): Appearances that were measured in training.
        network (CompactDenoiser): Knows the defects.
        codec (PixelCodec): Makes latents of pixels.
        settings (SynthesisSettings): How to paint.

    Raises:
        BundleError: If the appearances cannot be used.
    """

    def __init__(
        self, bundle: StageBundle, network: CompactDenoiser, *, codec: PixelCodec, settings: SynthesisSettings
    ) -> None:
        self.network, self.codec, self.settings = network, codec, settings
        self._appearances, self._continuity = load_appearances(bundle), load_texture_continuity(bundle)
        self._any_colour = {defect for defect in ANY_COLOUR if f"prior.{defect}" not in bundle.tensors}

    def __call__(
        self, batch: RegionBatch, latents: Latents, context: NDArray[np.float32]
    ) -> tuple[Conditioning, Constrain]:
        """Condition the painting of regions of one size.

        Args:
            batch (RegionBatch): Regions and jobs, B of them.
            latents (Latents): What the codec made of them, holes filled.
            context (NDArray[np.float32]): Context of each anomaly, ``(B, 5)``, of
                :func:`~anomalib_stage.synthesis.appearance.appearance.compute_context`.

        Returns:
            tuple[Conditioning, Constrain]: What the network is told, and what is asked of its clean estimates.
        """
        clean, hole, filled = latents.clean, latents.hole, latents.filled
        assert filled is not None  # the backbone fills holes
        drawn = np.stack([self._draw(job, row) for job, row in zip(batch.jobs, context, strict=True)])
        appearance = torch.from_numpy(drawn).to(clean.device)
        detail = self._extract_detail(batch, hole)
        if detail is not None:
            own = torch.tensor([bool(job.transfer and job.transfer.own_colours) for job in batch.jobs])
            shift = detail[0] - torch.from_numpy(context[:, :COLOURS]).to(clean.device)
            shift = torch.where(own.to(clean.device).view(-1, 1), shift, appearance[:, :COLOURS])
            appearance = torch.cat([shift, appearance[:, COLOURS:]], dim=1)
        shifted = (filled + hole * spread(appearance[:, :COLOURS], like=clean)).clamp(-1.0, 1.0)
        texture, weight = self._choose_texture(batch, latents, shifted, None if detail is None else detail[1])
        condition = self.network.condition([job.defect for job in batch.jobs])
        told = Conditioning(clean, hole, condition, filled=shifted, contrast=appearance[:, COLOURS])
        return told, build_constraint(
            told,
            texture=texture,
            texture_weight=weight,
            clip=self.settings.sampler.clip,
            strength=batch.strength(),
        )

    def _extract_detail(self, batch: RegionBatch, hole: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return level ``(B, 3)`` and detail, ``hole``'s shape, of the exemplars taken from; None: there are none."""
        jobs = batch.jobs
        taken = [job.exemplar if job.transfer else None for job in jobs]
        sizes = [(job.mask.shape[1], job.mask.shape[2]) for job in jobs]
        pictures = warp_exemplars(taken, batch.regions, sizes)
        if pictures is None:
            return None
        level, detail = extract_detail(self.codec.encode(pictures.to(hole.device)), hole)
        gains = torch.tensor([job.transfer.gain if job.transfer else 0.0 for job in jobs]).to(hole.device)
        return level, detail * gains.view(-1, 1, 1, 1)

    def _choose_texture(
        self, batch: RegionBatch, latents: Latents, shifted: Tensor, detail: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return what anomalies go on with, a latent each, and its weight ``(B,)``."""
        jobs, clean, filled = batch.jobs, latents.clean, latents.filled
        assert filled is not None  # the backbone fills holes
        continuity = torch.tensor([self._continuity.get(job.defect, 1.0) for job in jobs]).to(clean.device)
        weight = self.settings.texture_transfer * continuity * compute_texture_weight(latents.hole)
        texture = transfer_texture(clean, filled, shifted)
        if detail is None:
            return texture, weight
        taken = torch.tensor([job.transfer is not None for job in jobs]).to(clean.device)
        texture = torch.where(taken.view(-1, 1, 1, 1), (shifted + detail).clamp(-1.0, 1.0), texture)
        share = torch.tensor([HANDED_BACK if job.needs_network else 1.0 for job in jobs])
        return texture, torch.where(taken, share.to(clean.device), weight)

    def _draw(self, job: Job, context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw the appearance of an anomaly from its job's seed."""
        rng, seen = numpy_generator(job.seed, "look", *job.again), job.defect != GOOD
        appearance = self._appearances.draw(job.defect, context, rng=rng, attempt=job.attempt, seen=seen)
        rng = numpy_generator(job.seed, "colour", *job.again)
        if job.defect in self._any_colour and rng.random() < self.settings.any_colour:
            shift = draw_colour_shift(context, rng=rng)
            if shift is not None:
                appearance[: len(shift)] = shift
        return appearance
