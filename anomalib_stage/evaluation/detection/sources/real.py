# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The real defects themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.evaluation.picture_set import PictureSet, stack

if TYPE_CHECKING:
    from anomalib_stage.evaluation.dataset import BenchmarkData

__all__ = ["gather_real"]


def gather_real(data: BenchmarkData, *, count: int, size: int, seed: int) -> PictureSet:
    """The real defects to learn from, as they are: defects in turn, each as often as the largest has pictures.

    Args:
        data (BenchmarkData): Good images and defects to learn from.
        count (int): Most pictures to give; fewer if there are fewer.
        size (int): Side of the pictures in pixels.
        seed (int): Not used; there is nothing to draw.

    Returns:
        PictureSet: ``(N, size, size, 3)`` uint8 RGB with masks ``(N, size, size)`` bool.
    """
    del seed
    pool = [
        data.fit[defect][i % len(data.fit[defect])]
        for i in range(max(len(examples) for examples in data.fit.values()))
        for defect in sorted(data.fit)
    ]
    return stack([(example.image, example.mask) for example in pool[:count]], size=size)
