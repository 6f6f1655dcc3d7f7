# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How long drawn defects are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["draw_extent"]


def draw_extent(size: tuple[int, int], *, low: float, high: float, minimum: float, rng: np.random.Generator) -> float:
    """Draw the longest side of a defect, evenly on a logarithmic scale.

    Args:
        size (tuple[int, int]): Height and width of the image in pixels.
        low (float): Smallest extent as a fraction of the image's short side.
        high (float): Largest extent as a fraction of the image's short side.
        minimum (float): Smallest extent in pixels, which wins over both fractions.
        rng (np.random.Generator): Stream that the draw comes from.

    Returns:
        float: Extent in pixels.

    Raises:
        InputError: If not ``0 < low <= high`` or ``minimum`` is below 1.
    """
    if not (0 < low <= high and math.isfinite(high) and minimum >= 1):
        msg = (
            f"draw_extent got low={low}, high={high}, minimum={minimum}. It needs 0 < low <= high (fractions of the "
            "short side) and minimum >= 1 (pixels). Change the size range of the masks."
        )
        raise InputError(msg)
    fraction = math.exp(rng.uniform(math.log(low), math.log(high)))
    return max(fraction * min(size), float(minimum))
