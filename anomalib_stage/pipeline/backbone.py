# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the painter needs of a network and its codec: two backbones, one method."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.pipeline.region_batch import RegionBatch
    from anomalib_stage.synthesis.diffusion.constraint import Constrain
    from anomalib_stage.synthesis.diffusion.denoising import Conditioning, Denoiser
    from anomalib_stage.synthesis.diffusion.schedule import Schedule
    from anomalib_stage.synthesis.regions import Region

__all__ = ["Backbone", "Latents"]


class Latents(NamedTuple):
    """Regions of one size as a network sees them.

    ``clean``: latents ``(B, C, h, w)``. ``hole``: where to paint, float in {0, 1}, same shape or one channel.
    ``filled``: the hole filled, same shape; None: the network does not look at it. ``context``: what the host must
    know of the surface, ``(B, 5)`` float32; None: nothing.
    """

    clean: Tensor
    hole: Tensor
    filled: Tensor | None = None
    context: Tensor | None = None


class Backbone(Protocol):
    """A network with its codec.

    A new one is a class with these members, and a line in
    :func:`~anomalib_stage.pipeline.region_painter.load_backbone`.

    Attributes:
        default_steps: Denoising steps of the graded sampler, if none are given.
        most_pixels: Most pixels of regions in one call of the network.
        smallest_region: Side of the smallest square that the network can paint, in pixels.
        schedule: Noise schedule of the network.
    """

    default_steps: int
    most_pixels: int
    smallest_region: int
    schedule: Schedule

    @property
    def denoiser(self) -> Denoiser:
        """The network."""
        ...

    def region(self, job: Job) -> Region:
        """Return the region in which a job is painted."""
        ...

    def encode(self, batch: RegionBatch) -> Latents:
        """Make latents of regions."""
        ...

    def condition(
        self, batch: RegionBatch, latents: Latents, context: NDArray[np.float32] | None
    ) -> tuple[Conditioning, Constrain]:
        """Return what the network is told, and what is asked of its clean estimates.

        Args:
            batch (RegionBatch): The regions.
            latents (Latents): What :meth:`encode` made of them.
            context (NDArray[np.float32] | None): Their context, on the host.
        """
        ...

    def decode(self, latents: Tensor, batch: RegionBatch, hole: Tensor) -> Tensor:
        """Make pixels ``(B, 3, h, w)`` of painted latents."""
        ...
