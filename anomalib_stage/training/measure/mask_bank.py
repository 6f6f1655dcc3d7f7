# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Collect the masks of real defects for a bundle's bank."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.synthesis.masks.bank_mask import BankMask
from anomalib_stage.synthesis.masks.foreground.foreground import estimate_foreground
from anomalib_stage.synthesis.masks.mask_measures import measure_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["build_mask_bank"]

LOOKED_AT = 15
"""Good images that say whether there is an object."""

MOST = 256
"""Most masks kept for a defect, spread over its examples."""


def build_mask_bank(
    group_by_defect: Mapping[str, Sequence[Example]], good: Sequence[NDArray[np.uint8]] = (), *, exemplars: bool = True
) -> dict[str, list[BankMask]]:
    """Measure the masks of real defects on their objects.

    A defect on an even surface looks like an object on a ground. So the good images say first whether there is an
    object at all; without them, a foreground that is hardly more than the defect counts as none.

    Args:
        group_by_defect (Mapping[str, Sequence[Example]]): Whole images with one defect each, for each defect.
        good (Sequence[NDArray[np.uint8]]): Good images of the same objects, ``(H, W, 3)`` RGB.
        exemplars (bool): Keep the pictures of the defects.

    Returns:
        dict[str, list[BankMask]]: At most 256 masks for each defect.
    """
    looked_at = [good[i * len(good) // LOOKED_AT] for i in range(LOOKED_AT)] if good else []
    texture = bool(looked_at) and float(np.median([estimate_foreground(image).mean() for image in looked_at])) == 1.0
    bank = {
        defect: [
            measure_mask(example.mask, _find_object(example, texture=texture, known=bool(looked_at)), example.image)
            for example in _pick_spread(examples)
        ]
        for defect, examples in group_by_defect.items()
    }
    if exemplars:
        return bank
    return {defect: [replace(mask, exemplar=None) for mask in masks] for defect, masks in bank.items()}


def _find_object(example: Example, *, texture: bool, known: bool) -> NDArray[np.bool_]:
    """Where the object is in an image with a defect; the defect is part of it."""
    everywhere = np.ones(example.mask.shape, dtype=np.bool_)
    if texture:
        return everywhere
    found = estimate_foreground(example.image) | example.mask
    only_the_defect = not known and float(example.mask.sum()) > 0.8 * float(found.sum())
    return everywhere if only_the_defect else found


def _pick_spread(examples: Sequence[Example]) -> list[Example]:
    count = min(len(examples), MOST)
    return [examples[i * len(examples) // count] for i in range(count)]
