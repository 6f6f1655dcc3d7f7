# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Say what a compact network is to paint: defects, looks that suit the surface, textures that go on, real detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from anomalib_stage.pipeline.mask_drawer import GOOD
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.appearance.appearance import (
    ANY_COLOUR,
    COLOURS,
    compute_context,
    draw_colour_shift,
    spread,
)
from anomalib_stage.synthesis.appearance.exemplar import HANDED_BACK, extract_detail, warp_exemplars
from anomalib_stage.synthesis.appearance.hole_filling import texture_weight, transfer_texture
from anomalib_stage.synthesis.diffusion.sampling import Conditioning
from anomalib_stage.weights.compact import load_appearances, load_texture_continuity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.diffusion.codec import PixelCodec
    from anomalib_stage.synthesis.diffusion.denoiser import CompactDenoiser
    from anomalib_stage.synthesis.fetching import Steps
    from anomalib_stage.synthesis.regions import Region
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Conditioner", "Transfer"]

OWN_TONE = 0.5
"""Share of the anomalies with an exemplar that have its colours; the others have a look drawn for the place."""

GAIN = (0.7, 1.2)
"""Range of the factor by which an exemplar's detail is made weaker or stronger."""


class Transfer(NamedTuple):
    """What an anomaly takes from its exemplar: its detail, so many times as strong, and perhaps its colours."""

    exemplar: Exemplar
    gain: float
    own_tone: bool


class Conditioner:
    """Draws from the jobs' seeds what their anomalies are to look like.

    Args:
        bundle (StageBundle): Looks that were measured in training.
        network (CompactDenoiser): Knows the defects.
        codec (PixelCodec): Makes latents of pixels.
        settings (SynthesisSettings): How to paint.

    Raises:
        BundleError: If the looks cannot be used.
    """

    def __init__(
        self, bundle: StageBundle, network: CompactDenoiser, *, codec: PixelCodec, settings: SynthesisSettings
    ) -> None:
        self.network, self.codec, self.settings = network, codec, settings
        self._looks, self._goes_on = load_appearances(bundle), load_texture_continuity(bundle)
        self._foreign = {defect for defect in ANY_COLOUR if f"prior.{defect}" not in bundle.tensors}

    def __call__(
        self, clean: Tensor, hole: Tensor, surround: Tensor, cuts: Sequence[tuple[Job, Region]]
    ) -> Steps[Conditioning]:
        """Guide the painting of regions of one size.

        Args:
            clean (Tensor): Clean latents ``(B, C, h, w)``.
            hole (Tensor): Where to paint, float in {0, 1}, same shape.
            surround (Tensor): ``clean`` with the hole filled from around it.
            cuts (Sequence[tuple[Job, Region]]): Jobs with their regions.

        Yields:
            Tensor: What has to be known on the CPU before it can go on.

        Returns:
            Guidance: What the sampler is told.
        """
        jobs = [job for job, _ in cuts]
        places = yield compute_context(surround, hole)
        wanted = np.stack([self._look(job, place) for job, place in zip(jobs, places, strict=True)])
        looks = torch.from_numpy(wanted).to(clean.device)
        texture_continuity = torch.tensor([self._goes_on.get(job.defect, 1.0) for job in jobs]).to(clean.device)
        kept = self.settings.texture_transfer * texture_continuity * texture_weight(hole)
        real = [self.taken(job) for job in jobs]
        sizes = [(job.mask.shape[1], job.mask.shape[2]) for job in jobs]
        laid = warp_exemplars([one and one.exemplar for one in real], [region for _, region in cuts], sizes)
        detail = None
        if laid is not None:
            level, detail = extract_detail(self.codec.encode(laid.to(clean.device)), hole)
            gains = torch.tensor([one.gain if one else 0.0 for one in real]).to(clean.device)
            detail = detail * gains.view(-1, 1, 1, 1)
            tones = torch.where(
                torch.tensor([bool(one and one.own_tone) for one in real]).to(clean.device).view(-1, 1),
                level - torch.from_numpy(places[:, :COLOURS]).to(clean.device),
                looks[:, :COLOURS],
            )
            looks = torch.cat([tones, looks[:, COLOURS:]], dim=1)
        toned = (surround + hole * spread(looks[:, :COLOURS], like=clean)).clamp(-1.0, 1.0)
        goal = transfer_texture(clean, surround, toned)
        if detail is not None:
            with_detail = torch.tensor([one is not None for one in real]).to(clean.device)
            goal = torch.where(with_detail.view(-1, 1, 1, 1), (toned + detail).clamp(-1.0, 1.0), goal)
            share = torch.tensor([1.0 if one and one.exemplar.whole else HANDED_BACK for one in real])
            kept = torch.where(with_detail, share.to(clean.device), kept)
        conditions = self.network.condition([job.defect for job in jobs])
        return Conditioning(
            clean,
            hole,
            conditions,
            surround=toned,
            contrast=looks[:, COLOURS],
            stained=goal,
            kept=kept,
            settled=all(one is not None and one.exemplar.whole for one in real),
        )

    def _look(self, job: Job, place: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw the look of an anomaly from its job's seed."""
        rng, seen = numpy_generator(job.seed, "look", *job.again), job.defect != GOOD
        look = self._looks.draw(job.defect, place, rng=rng, attempt=job.attempt, seen=seen)
        rng = numpy_generator(job.seed, "colour", *job.again)
        if job.defect in self._foreign and rng.random() < self.settings.any_colour:
            tone = draw_colour_shift(place, rng=rng)
            if tone is not None:
                look[: len(tone)] = tone
        return look

    def taken(self, job: Job) -> Transfer | None:
        """Return what a job's anomaly takes from its exemplar; None: all of it is made up."""
        if job.exemplar is None or self.settings.sampler.name != "graded":
            return None
        rng = numpy_generator(job.seed, "exemplar", *job.again)
        if rng.random() >= self.settings.exemplars:
            return None
        return Transfer(job.exemplar, float(rng.uniform(*GAIN)), own_tone=bool(rng.random() < OWN_TONE))
