# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Regions of one size, cut out to be painted together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from anomalib_stage.pipeline.jobs import Job
from anomalib_stage.synthesis.blend.two_level import find_two_levels
from anomalib_stage.synthesis.regions import crop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from anomalib_stage.synthesis.regions import Region

__all__ = ["RegionBatch", "cut_regions", "group_regions"]


@dataclass(frozen=True, eq=False)
class RegionBatch:
    """Regions of one size with their jobs.

    Args:
        jobs (list[Job]): B of them.
        regions (list[Region]): Where each lies in its image.
        pixels (Tensor): Clean surface, ``(B, 3, h, w)`` float32 in [0, 1], on the painting device.
        inside (Tensor): Where to paint, ``(B, 1, h, w)`` bool, there too.
        levels (Tensor): The two levels of images that have no others, NaN for the rest; there too
            (:func:`~anomalib_stage.synthesis.blend.two_level.find_two_levels`).
    """

    jobs: list[Job]
    regions: list[Region]
    pixels: Tensor
    inside: Tensor
    levels: Tensor

    @property
    def needs_network(self) -> bool:
        """Whether there is anything for a network to paint; of all jobs, or of none."""
        return self.jobs[0].needs_network

    def strength(self) -> Tensor | None:
        """How far each anomaly leaves the clean surface, ``(B,)`` in (0, 1]; None: all of them all the way."""
        strengths = [job.strength for job in self.jobs]
        return None if min(strengths) == 1.0 else torch.tensor(strengths).to(self.pixels.device)

    def unknown(self) -> Tensor:
        """Pixels that say nothing about the surface under the masks: the masks, and what is not the object.

        Returns:
            Tensor: ``(B, 1, h, w)`` bool.
        """
        rows = zip(self.jobs, self.regions, strict=True)
        return torch.stack([_find_unknown(job, region) for job, region in rows]).to(self.pixels.device)


def cut_regions(images: Tensor, jobs: Sequence[Job], regions: Sequence[Region], *, device: torch.device) -> RegionBatch:
    """Cut regions of one size out of their images.

    Args:
        images (Tensor): ``(N, 3, H, W)`` in [0, 1], on any device.
        jobs (Sequence[Job]): What to paint into which of them.
        regions (Sequence[Region]): One for each job.
        device (torch.device): Where to paint.

    Returns:
        RegionBatch: On that device.
    """
    rows = list(zip(jobs, regions, strict=True))
    pixels = torch.stack([crop(images[job.index], region).float() for job, region in rows]).to(device)
    inside = torch.stack([crop(job.mask, region) for job, region in rows]).to(device)
    levels = torch.stack([find_two_levels(images[job.index]) for job in jobs]).to(device)
    return RegionBatch(list(jobs), list(regions), pixels.as_subclass(torch.Tensor), inside, levels)


def group_regions(jobs: Sequence[Job], regions: Sequence[Region], *, most: int) -> Iterator[list[int]]:
    """Group regions that can be painted together.

    Args:
        jobs (Sequence[Job]): What to paint.
        regions (Sequence[Region]): One for each.
        most (int): Most pixels in a group of more than one.

    Yields:
        list[int]: Positions of regions of one size that all need the network, or all do not.
    """
    by_size: dict[tuple[int, int, bool], list[int]] = {}
    for i, (job, region) in enumerate(zip(jobs, regions, strict=True)):
        by_size.setdefault((region.height, region.width, not job.needs_network), []).append(i)
    for (height, width, _), members in by_size.items():
        count = max(most // (height * width), 1)
        for start in range(0, len(members), count):
            yield members[start : start + count]


def _find_unknown(job: Job, region: Region) -> Tensor:
    inside = crop(job.mask, region)
    if job.foreground is None:
        return inside
    beside = inside | ~crop(job.foreground, region)
    return inside if beside.numpy().all() else beside
