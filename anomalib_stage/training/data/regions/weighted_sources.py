# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Several sources of training regions, each drawn with its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import DataError
from anomalib_stage.training.data.regions.example import Example

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.training.data.regions.example import Source

__all__ = ["Mixture"]


class Mixture:
    """Several sources, each drawn with its weight.

    Args:
        sources (Sequence[tuple[Source, float]]): Sources and weights.

    Raises:
        DataError: If no source has a positive weight.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]]) -> None:
        self.sources = [source for source, weight in sources if weight > 0]
        weights = np.array([weight for _, weight in sources if weight > 0], dtype=np.float64)
        if not len(weights):
            msg = "nothing to train on; give --data and --defect-dir, or a positive --procedural share"
            raise DataError(msg)
        self.weights = weights / weights.sum()

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        return self.sources[int(rng.choice(len(self.sources), p=self.weights))].draw(side, rng=rng)
