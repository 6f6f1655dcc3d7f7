# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real defects, cut out and pasted on good images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.evaluation.detection.sources.patches import collect, draw_good, paste_patch
from anomalib_stage.evaluation.picture_set import resize
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.evaluation.picture_set import PictureSet

__all__ = ["crop_paste"]


def crop_paste(data: BenchmarkData, *, count: int, size: int, seed: int) -> PictureSet:
    """Real defects cut out along their masks, flipped, turned, and pasted on good images.

    Args:
        data (BenchmarkData): Good images and defects to learn from.
        count (int): PictureSet to make.
        size (int): Side of the pictures in pixels.
        seed (int): A function of it and of the picture's number decides each picture.

    Returns:
        PictureSet: ``(count, size, size, 3)`` uint8 RGB with masks ``(count, size, size)`` bool.
    """
    defects = sorted(data.fit)
    made = []
    for i in range(count):
        rng = numpy_generator(seed, "croppaste", i)
        examples = data.fit[str(rng.choice(defects))]
        example = examples[int(rng.integers(len(examples)))]
        image, mask = resize(example.image, example.mask, size=size)
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        patch, inside = np.rot90(image[box], turns := int(rng.integers(4))), np.rot90(mask[box], turns)
        if rng.random() < 0.5:
            patch, inside = patch[:, ::-1], inside[:, ::-1]
        made.append(paste_patch(draw_good(data, size=size, rng=rng), patch, inside, 0.0, rng=rng))
    return collect(made)
