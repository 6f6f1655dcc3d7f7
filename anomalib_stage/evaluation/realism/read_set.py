# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured against: good images, and the real defects of the split's ``fit`` side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import DataError
from anomalib_stage.evaluation.dataset import load_data
from anomalib_stage.evaluation.picture_set import resize
from anomalib_stage.metrics.crops import cut_crops
from anomalib_stage.metrics.traces.forensics import FEWEST_IMAGES
from anomalib_stage.training.data.picture_lists import read_groups

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

__all__ = ["read_set"]

TEST_SIZE = 64
"""Test pictures are read at this size: none of them is looked at."""


def read_set(
    data: Path, *, split: Path, size: int | None, white_level: int | None = None
) -> tuple[list[NDArray[np.uint8]], list[Crop]]:
    """Read what is measured.

    Args:
        data (Path): Data set in MVTec layout.
        split (Path): Few-shot split; its ``fit`` side is read.
        size (int | None): Side to resize to in pixels; None: as they are.
        white_level (int | None): Largest value of a pixel in images deeper than 8 bit, such as 4095; None: found over
            all images.

    Returns:
        tuple[list[NDArray[np.uint8]], list[Crop]]: Good training images ``(H, W, 3)`` RGB, and the real defects; those
        of one piece, which ``groups.json`` names, have one ``source``.

    Raises:
        DataError: If the data set cannot be read, or is too small to measure anything.
    """
    read = load_data(data, split=split, size=TEST_SIZE, white_level=white_level)
    examples = [example for members in read.fit.values() for example in members]
    groups = read_groups(None, defect_dir=data / "test")
    names = [f"{example.defect}/{example.name}" for example in examples]
    pieces = [groups.get(name, groups.get(example.name, name)) for name, example in zip(names, examples, strict=True)]
    numbers = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    pairs = [(example.image, example.mask, example.defect) for example in examples]
    images = read.good
    if size is not None:
        pairs = [(*resize(image, mask, size=size), defect) for image, mask, defect in pairs]
        images = [resize(image, np.zeros(image.shape[:2], np.bool_), size=size)[0] for image in images]
    real = [
        cut
        for piece, (image, mask, defect) in zip(pieces, pairs, strict=True)
        for cut in cut_crops(image, mask, defect=defect, source=numbers[piece])
    ]
    if len(images) < FEWEST_IMAGES or len({cut.source for cut in real}) < 2:
        msg = (
            f"{data}: {len(images)} good images and real defects in {len({cut.source for cut in real})}; at least "
            f"{FEWEST_IMAGES} good images, and two with defects on the fit side of the split are needed"
        )
        raise DataError(msg)
    return images, real
