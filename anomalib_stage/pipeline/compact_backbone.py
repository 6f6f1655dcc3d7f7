# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The small network that works on pixels, put into cells: the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.profiler import record_function

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.backbone import Latents
from anomalib_stage.pipeline.conditioning import Conditioner
from anomalib_stage.synthesis.appearance.appearance import compute_context
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.diffusion.compact.fast_denoiser import build_fast_denoiser
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.synthesis.regions import LADDER, find_region
from anomalib_stage.weights.compact import load_denoiser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.pipeline.region_batch import RegionBatch
    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.synthesis.diffusion.constraint import Constrain
    from anomalib_stage.synthesis.diffusion.denoising import Conditioning
    from anomalib_stage.synthesis.regions import Region
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["CompactBackbone"]

SMALLEST = 64
"""Side of the smallest region, by which a batch is counted."""


class CompactBackbone:
    """Paints regions of any size without a loss between pixels and latents.

    Args:
        bundle (StageBundle): Weights of backbone ``compact``.
        device (torch.device): Where to compute.
        settings (SynthesisSettings): How to paint.

    Raises:
        BundleError: If the bundle's network cannot be built, or its appearances cannot be used.
    """

    smallest_region = LADDER[0]

    default_steps = 8
    """More changed nothing that was measured; four left a trace on one data set (docs/concepts/speed.md)."""

    def __init__(self, bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> None:
        network = load_denoiser(bundle).eval().requires_grad_(requires_grad=False).to(device)
        self.settings, self.schedule = settings, Schedule(bundle.manifest.schedule)
        self.most_pixels = settings.region_batch * SMALLEST**2
        self.codec = PixelCodec(round(network.cells**0.5))
        _check_sides(self.codec.factor, levels=len(bundle.manifest.denoiser["block_out_channels"]))
        self.denoiser = build_fast_denoiser(network)
        self._conditioner = Conditioner(bundle, network, codec=self.codec, settings=settings)

    def region(self, job: Job) -> Region:
        """Return a square of context around the mask."""
        return find_region(job.mask[0].numpy(), margin=self.settings.margin)

    def encode(self, batch: RegionBatch) -> Latents:
        """Put pixels into cells, and fill the holes from around them."""
        with record_function("stage::encode"):
            clean, hole = self.codec.encode(batch.pixels), self.codec.encode_mask(batch.inside)
            unknown = self.codec.encode_mask(batch.unknown())
        with record_function("stage::fill"):
            filled = torch.where(hole > 0, fill_hole(clean, unknown), clean)
            return Latents(clean, hole, filled, compute_context(filled, hole))

    def condition(
        self, batch: RegionBatch, latents: Latents, context: NDArray[np.float32] | None
    ) -> tuple[Conditioning, Constrain]:
        """Draw appearances that suit the surface."""
        assert context is not None  # encode asked for it
        with record_function("stage::appearance"):
            return self._conditioner(batch, latents, context)

    def decode(self, latents: Tensor, batch: RegionBatch, hole: Tensor) -> Tensor:
        """Put cells back into pixels."""
        del batch, hole  # nothing is lost that they could give back
        with record_function("stage::decode"):
            return self.codec.decode(latents)


def _check_sides(factor: int, *, levels: int) -> None:
    """Refuse a network that cannot halve the sides of regions as often as it has to."""
    block = factor * 2 ** (levels - 1)
    odd = [side for side in LADDER if side % block]
    if odd:
        msg = f"denoiser: factor {factor} and {levels} widths need regions of a multiple of {block} px, not {odd[0]}"
        raise InputError(msg)
