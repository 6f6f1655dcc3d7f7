# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of what users hand to the synthesizer: each refusal is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.seeds import derive_seed
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job

__all__ = ["check_images", "check_jobs", "check_whole_number", "expand_seeds", "validate_masks"]


def check_images(images: Tensor) -> None:
    """Refuse anything but ``(B, 3, H, W)`` float in [0, 1] without NaN, at least 32 px a side.

    Raises:
        InputError: Says what was seen and what to do.
    """
    if not isinstance(images, torch.Tensor) or images.dim() != 4 or images.shape[1] != 3:
        shape = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        msg = f"images must be a tensor (B, 3, H, W), got {shape}; repeat a grey channel three times, drop alpha"
        raise InputError(msg)
    if not images.is_floating_point():
        msg = f"images must be float in [0, 1], got {images.dtype}; divide uint8 by 255"
        raise InputError(msg)
    if min(images.shape[2:]) < MIN_IMAGE_SIDE:
        msg = f"images are {images.shape[2]}x{images.shape[3]} px; at least {MIN_IMAGE_SIDE} px a side are needed"
        raise InputError(msg)
    low, high = torch.stack(images.aminmax()).tolist() if images.numel() else (0.0, 0.0)
    if not (low >= -1e-3 and high <= 1.0 + 1e-3):  # also catches NaN
        msg = f"images must be in [0, 1] without NaN, got [{low:.3g}, {high:.3g}]; undo normalisation before synthesis"
        raise InputError(msg)


def check_whole_number(name: str, value: object, *, least: int | None = None) -> None:
    """Refuse anything but an integer, or one below ``least``.

    Raises:
        InputError: Says what was given.
    """
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        allowed = "an integer" if least is None else f"an integer of {least} or more"
        msg = f"StageSynthesizer: {name} is {value!r}; give {allowed}"
        raise InputError(msg)


def expand_seeds(seeds: int | Sequence[int], count: int) -> list[int]:
    """Return one seed for each of ``count`` images; a single seed is expanded by the position.

    Raises:
        InputError: If their number differs.
    """
    if isinstance(seeds, int):
        return [derive_seed(seeds, i) for i in range(count)]
    if len(seeds) != count:
        msg = f"{len(seeds)} seeds for {count} images; give one for each image, or a single int"
        raise InputError(msg)
    return [int(seed) for seed in seeds]


def validate_masks(masks: Tensor, images: Tensor, *, name: str = "mask") -> Tensor:
    """Return masks as ``(B, 1, H, W)`` bool on the CPU; ``name`` is what messages call them.

    Raises:
        InputError: If they are not binary, not the size of the images, or one is empty.
    """
    wanted = (len(images), 1, *images.shape[2:])
    if tuple(masks.shape) != wanted:
        msg = f"{name}s have shape {tuple(masks.shape)}; they must be {wanted}, the size of the images"
        raise InputError(msg)
    if masks.dtype != torch.bool and not bool(((masks == 0) | (masks == 1)).all()):
        msg = f"{name}s must be binary (bool, or 0 and 1); threshold them first ({name} > 0.5)"
        raise InputError(msg)
    chosen = masks.as_subclass(torch.Tensor).bool().cpu()
    empty = (~chosen.flatten(1).any(dim=1)).nonzero().flatten().tolist()
    if empty:
        msg = f"{name} {empty[0]} of the batch is empty; leave that image out, or give it one with at least one pixel"
        raise InputError(msg)
    return chosen


def check_jobs(jobs: Sequence[Job], images: Tensor, *, defects: Sequence[str]) -> None:
    """Refuse jobs that were planned for other images or another bundle.

    Args:
        jobs (Sequence[Job]): What is to be painted.
        images (Tensor): Into these, ``(B, 3, H, W)``.
        defects (Sequence[str]): What the bundle can paint.

    Raises:
        InputError: Names the first job that does not fit.
    """
    taken: set[int] = set()
    for job in jobs:
        if not 0 <= job.index < len(images) or job.index in taken:
            msg = f"a job is for image {job.index}; give at most one for each of the {len(images)} images"
            raise InputError(msg)
        if tuple(job.mask.shape[1:]) != tuple(images.shape[2:]):
            planned, there = tuple(job.mask.shape[1:]), tuple(images.shape[2:])
            msg = f"the job of image {job.index} was planned for {planned} px and the image has {there}; plan it again"
            raise InputError(msg)
        if job.defect not in defects:
            msg = f"the job of image {job.index} paints {job.defect!r}; this bundle paints {', '.join(defects)}"
            raise InputError(msg)
        taken.add(job.index)
