# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Paint regions with a latent bundle: encode, sample, decode, match the colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from anomalib_stage.pipeline.region_painter import RegionPainter
from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.blend.colour_match import match_colour
from anomalib_stage.synthesis.diffusion.denoiser import TiledDenoiser, bf16_is_fast
from anomalib_stage.synthesis.diffusion.latent_cache import CachedCodec
from anomalib_stage.synthesis.diffusion.sampling import Conditioning
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.synthesis.regions import Region
from anomalib_stage.weights.compact import load_softness
from anomalib_stage.weights.latent.bundle import load_latent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.region_painter import Job
    from anomalib_stage.settings import LatentSettings, SynthesisSettings
    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.fetching import Steps
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["LatentPainter", "native_region"]

GREY = 0.5
"""What an inpainting U-Net sees in place of the anomaly: 0 in the autoencoder's range, as it was trained."""


class LatentPainter(RegionPainter):
    """Runs graded diffusion in the latents of regions of the backbone's native size.

    A mask that does not fit gets a larger region, which is painted in overlapping tiles of the native size that share
    one latent and one noise.

    Args:
        bundle (StageBundle): Weights of backbone ``latent``.
        device (torch.device): Where to compute.
        settings (SynthesisSettings): How to paint. ``sampler.clip`` is not used: latents have no bounds.

    Raises:
        BundleError: If the bundle's networks cannot be built.
    """

    few = 20

    def __init__(self, bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> None:
        self.device, self.settings = device, settings
        dtype = _dtype(settings.latent, device)
        denoiser, self._latents = load_latent(bundle, dtype=dtype)
        self._latent_denoiser = denoiser.to(device)
        self._encoded = CachedCodec(self._latents)
        self._schedule, self._clip = Schedule(bundle.manifest.schedule), 0.0
        self._softness = load_softness(bundle)
        self._native = bundle.manifest.region_size
        _arrange(self._latent_denoiser.unet, self._latents.vae.to(device), settings.latent)
        tile = self._native // self._latents.factor
        self._denoiser = TiledDenoiser(self._latent_denoiser, tile=tile, overlap=max(tile // 4, 1))

    def _region(self, job: Job) -> Region:
        mask, margin = job.mask[0].numpy(), max(self.settings.margin, self._latents.factor)
        return native_region(mask, margin=margin, native=self._native, multiple=self._latents.factor)

    def _real(self, job: Job) -> Exemplar | None:
        del job  # the network paints all detail
        return None

    def _together(self) -> int:
        return self.settings.latent.batch * self._native**2

    def _pictures(self, pixels: Tensor, inside: Tensor, cuts: Sequence[tuple[Job, Region]]) -> Steps[Tensor]:
        yield from ()  # nothing here is decided on the host
        jobs = [job for job, _ in cuts]
        codec = self._latents
        clean, hole = self._encoded.encode(pixels, noise=self._posterior(pixels, jobs)), codec.encode_mask(inside)
        surround = None
        if self._latent_denoiser.inpainting:
            surround = self._encoded.encode(torch.where(inside, torch.full_like(pixels, GREY), pixels))
        conditions = self._latent_denoiser.condition([job.defect for job in jobs])
        painted = codec.decode(self._sample(Conditioning(clean, hole, conditions, surround=surround), jobs))
        return match_colour(painted, pixels, free=F.interpolate(hole, scale_factor=codec.factor) > 0)

    def _posterior(self, pixels: Tensor, jobs: Sequence[Job]) -> Tensor | None:
        """Noise of the codec, where the bundle wants samples."""
        codec = self._latents
        if not codec.sample:
            return None
        height, width = (side // codec.factor for side in pixels.shape[2:])
        streams = generators([job.seed for job in jobs], "codec")
        return standard_normal((codec.channels, height, width), streams).to(self.device)


def native_region(mask: NDArray[np.bool_], *, margin: int, native: int, multiple: int) -> Region:
    """Return the region in which a latent backbone paints a mask: of its native size, or larger where it must be.

    Args:
        mask (NDArray[np.bool_]): Anomaly mask, ``(H, W)``, not empty.
        margin (int): Clean surface around the mask's bounding box, in pixels.
        native (int): Side of a region that the backbone was trained on, in pixels.
        multiple (int): Sides are multiples of this.

    Returns:
        Region: Centred on the mask's bounding box, moved inside the image where it fits.
    """
    sides = []
    for axis in (1, 0):
        occupied = np.flatnonzero(mask.any(axis=axis))
        low, high, size = int(occupied[0]), int(occupied[-1]) + 1, mask.shape[1 - axis]
        side = max(native, -(-(high - low + 2 * margin) // multiple) * multiple)
        start = (low + high - side) // 2
        start = min(max(start, 0), size - side) if side <= size else (size - side) // 2
        sides.append((start, side))
    (top, height), (left, width) = sides
    return Region(top, left, height, width)


def _dtype(settings: LatentSettings, device: torch.device) -> torch.dtype:
    half = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if settings.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and bf16_is_fast(device) else torch.float32
    return half[settings.precision]


def _arrange(unet: torch.nn.Module, vae: torch.nn.Module, settings: LatentSettings) -> None:
    """Apply what changes speed and memory, not the result."""
    if settings.channels_last:
        unet.to(memory_format=torch.channels_last)
        vae.to(memory_format=torch.channels_last)
    if settings.slicing:
        vae.enable_slicing()  # type: ignore[operator]
    if settings.compile:
        unet.compile()
