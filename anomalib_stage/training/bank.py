# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Collect the masks of real defects for a bundle's bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.synthesis.bank import BankMask, measure_mask
from anomalib_stage.synthesis.foreground import estimate_foreground

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.training.data import Example

__all__ = ["bank_of"]

MOST = 256
"""Most masks kept for a kind, spread over its examples."""


def bank_of(by_kind: Mapping[str, Sequence[Example]]) -> dict[str, list[BankMask]]:
    """Measure the masks of real defects on their objects.

    Args:
        by_kind (Mapping[str, Sequence[Example]]): Whole images with one defect each, for each kind.

    Returns:
        dict[str, list[BankMask]]: At most 256 masks for each kind.
    """
    seen: dict[int, NDArray[np.bool_]] = {}

    def foreground(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        if id(image) not in seen:  # the defects of an image share its array
            seen[id(image)] = estimate_foreground(image)
        return seen[id(image)]

    return {
        kind: [measure_mask(example.mask, foreground(example.image)) for example in _spread(examples)]
        for kind, examples in by_kind.items()
    }


def _spread(examples: Sequence[Example]) -> list[Example]:
    count = min(len(examples), MOST)
    return [examples[i * len(examples) // count] for i in range(count)]
