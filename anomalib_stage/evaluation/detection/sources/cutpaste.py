# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""CutPaste: pieces of good images on other good images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.evaluation.detection.sources.patches import collect, draw_good, paste_patch
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.evaluation.picture_set import PictureSet

__all__ = ["cut_paste"]


def cut_paste(data: BenchmarkData, *, count: int, size: int, seed: int) -> PictureSet:
    """Patches and scars of good images on other places of good images (CutPaste, arXiv 2104.04015, three-way).

    A patch has 2 to 15 % of the area and an aspect of 0.3 to 3.3, a scar is 2 to 16 wide and 10 to 25 long of 256
    pixels, turned by up to 45 degrees; the brightness of both is jittered by 10 %.

    Args:
        data (BenchmarkData): Good images and defects to learn from.
        count (int): PictureSet to make.
        size (int): Side of the pictures in pixels.
        seed (int): A function of it and of the picture's number decides each picture.

    Returns:
        PictureSet: ``(count, size, size, 3)`` uint8 RGB with masks ``(count, size, size)`` bool.
    """
    made = []
    for i in range(count):
        rng = numpy_generator(seed, "cutpaste", i)
        target, donor = (draw_good(data, size=size, rng=rng) for _ in range(2))
        if rng.random() < 0.5:
            area, aspect = rng.uniform(0.02, 0.15) * size * size, np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
            height, width, angle = np.sqrt(area / aspect), np.sqrt(area * aspect), 0.0
        else:
            height, width = rng.uniform(10, 25) * size / 256, rng.uniform(2, 16) * size / 256
            angle = rng.uniform(-45, 45)
        shape = (min(max(round(float(height)), 1), size - 1), min(max(round(float(width)), 1), size - 1))
        top, left = (int(rng.integers(size - side)) for side in shape)
        patch = donor[top : top + shape[0], left : left + shape[1]].astype(np.float32) * rng.uniform(0.9, 1.1)
        made.append(paste_patch(target, np.clip(patch, 0, 255).astype(np.uint8), np.ones(shape, bool), angle, rng=rng))
    return collect(made)
