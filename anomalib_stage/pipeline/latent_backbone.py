# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's backbone: a pretrained U-Net in the latents of an autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.profiler import record_function

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.pipeline.backbone import Latents
from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.blend.colour_match import match_colour
from anomalib_stage.synthesis.diffusion.constraint import build_constraint
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.latent_cache import CachedCodec
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.synthesis.diffusion.tiled_denoiser import TiledDenoiser
from anomalib_stage.synthesis.regions import Region
from anomalib_stage.weights.latent.bundle import load_latent

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.pipeline.region_batch import RegionBatch
    from anomalib_stage.settings import LatentSettings, SynthesisSettings
    from anomalib_stage.synthesis.diffusion.constraint import Constrain
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["GREY", "LatentBackbone", "native_region"]

SMALLEST = 16
"""Least side in pixels of the region that a bundle is tried with."""

GREY = 0.5
"""What an inpainting U-Net sees in place of the anomaly: 0 in the autoencoder's range, as it was trained."""


class LatentBackbone:
    """Paints in the latents of regions of the backbone's native size.

    A mask that does not fit gets a larger region, which is painted in overlapping tiles of the native size that share
    one latent and one noise.

    Args:
        bundle (StageBundle): Weights of backbone ``latent``.
        device (torch.device): Where to compute.
        settings (SynthesisSettings): How to paint. ``sampler.clip`` is not used: latents have no bounds.

    Raises:
        BundleError: If the bundle's networks cannot be built.
    """

    default_steps = 20

    def __init__(self, bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> None:
        self.settings, self.device = settings, device
        self.network, self.codec = load_latent(bundle, dtype=_choose_dtype(settings.latent, device))
        self.network.to(device)
        self._encoder = CachedCodec(self.codec)
        self._native = bundle.manifest.region_size
        unet: Any = self.network.unet
        least = self.codec.factor * 2 ** len(unet.config.block_out_channels)
        self.smallest_region = -(-SMALLEST // least) * least
        self.schedule = Schedule(bundle.manifest.schedule)
        self.most_pixels = settings.latent.batch * self._native**2
        _arrange(self.network.unet, self.codec.vae.to(device), settings.latent)
        tile = self._native // self.codec.factor
        self.denoiser = TiledDenoiser(self.network, tile=tile, overlap=max(tile // 4, 1))

    def region(self, job: Job) -> Region:
        """Return a region of the native size around the mask, or a larger one where it must be."""
        mask, margin = job.mask[0].numpy(), max(self.settings.margin, self.codec.factor)
        return native_region(mask, margin=margin, native=self._native, multiple=self.codec.factor)

    def encode(self, batch: RegionBatch) -> Latents:
        """Encode regions, and for an inpainting U-Net their surface with the anomaly cut out."""
        with record_function("stage::encode"):
            clean = self._encoder.encode(batch.pixels, noise=self._draw_posterior(batch))
            hole, filled = self.codec.encode_mask(batch.inside), None
            if self.network.inpainting:
                cut = torch.where(batch.inside, torch.full_like(batch.pixels, GREY), batch.pixels)
                filled = self._encoder.encode(cut)
            return Latents(clean, hole, filled)

    def condition(
        self, batch: RegionBatch, latents: Latents, context: NDArray[np.float32] | None
    ) -> tuple[Conditioning, Constrain]:
        """Name the defects; the network decides all else."""
        del context  # nothing is drawn on the host
        condition = self.network.condition([job.defect for job in batch.jobs])
        told = Conditioning(latents.clean, latents.hole, condition, filled=latents.filled)
        return told, build_constraint(told, strength=batch.strength())

    def decode(self, latents: Tensor, batch: RegionBatch, hole: Tensor) -> Tensor:
        """Decode, and match the colours that the autoencoder shifts."""
        with record_function("stage::decode"):
            free = F.interpolate(hole, scale_factor=self.codec.factor) > 0
            return match_colour(self.codec.decode(latents), batch.pixels, free=free)

    def _draw_posterior(self, batch: RegionBatch) -> Tensor | None:
        """Noise of the codec, where the bundle wants samples."""
        if not self.codec.sample:
            return None
        height, width = (side // self.codec.factor for side in batch.pixels.shape[2:])
        streams = generators([job.seed for job in batch.jobs], "codec")
        return standard_normal((self.codec.channels, height, width), streams).to(self.device)


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


def _choose_dtype(settings: LatentSettings, device: torch.device) -> torch.dtype:
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
