# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of masks that hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

__all__ = ["count_parts", "keep_few_parts"]


def count_parts(mask: Bools) -> int:
    """Count the parts of a mask ``(h, w)`` bool, connected over edges and corners."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def keep_few_parts(mask: Bools, most: int) -> Bools:
    """Keep the largest parts of a mask ``(h, w)`` bool, at most so many; the result may be the mask itself."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count - 1 <= most:
        return mask
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:most]
    kept: Bools = np.isin(labels, largest)
    return kept
