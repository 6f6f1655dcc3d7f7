# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Regions of good images, to learn what is no defect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.training.data.regions.augment import shift_colour, turn
from anomalib_stage.training.data.regions.example import Example, extend_to_side
from anomalib_stage.training.data.regions.rendered import draw_rendered_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["GoodSurfaces"]


class GoodSurfaces:
    """Regions of the user's good images, with drawn masks: teaches the defect ``good``.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
        quarter (bool): Whether they may be turned by quarters.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], *, quarter: bool = True) -> None:
        self.images, self.quarter = list(images), quarter

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        image = extend_to_side(self.images[int(rng.integers(len(self.images)))], side)
        top = int(rng.integers(image.shape[0] - side + 1))
        left = int(rng.integers(image.shape[1] - side + 1))
        region, mask = image[top : top + side, left : left + side], draw_rendered_mask("good", side, rng=rng)
        region, mask = turn(region, mask, quarter=self.quarter, rng=rng)
        return Example(shift_colour(region, rng=rng), mask, "good")
