# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What training is made of: pictures with one anomaly and its mask, and sources that draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Example", "Source", "at_least", "window_start"]


@dataclass(frozen=True)
class Example:
    """A picture with an anomaly.

    Args:
        image (NDArray[np.uint8]): Whole image or region, ``(H, W, 3)`` RGB.
        mask (NDArray[np.bool_]): Anomaly mask, ``(H, W)``, not empty.
        kind (str): Defect kind, or ``good``.
        name (str): Name of the file without its ending; empty for regions.
        group (str): What it shares with other captures of the same piece; empty for regions.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    kind: str
    name: str = ""
    group: str = ""


class Source(Protocol):
    """Something that yields examples."""

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        ...


def window_start(occupied: NDArray[np.bool_], side: int, *, rng: np.random.Generator) -> int:
    """Start of a window of ``side`` along an axis that holds the defect, or lies on it if the defect is longer."""
    at = np.flatnonzero(occupied)
    low, high = int(at[0]), int(at[-1]) + 1
    first, last = (high - side, low) if high - low <= side else (low, high - side)
    limit = len(occupied) - side
    return int(rng.integers(min(max(first, 0), limit), min(max(last, 0), limit) + 1))


def at_least(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Mirror an image beyond its border where it is smaller than a region."""
    down, right = max(side - image.shape[0], 0), max(side - image.shape[1], 0)
    if not down and not right:
        return image
    border = (down // 2, down - down // 2, right // 2, right - right // 2)
    return np.asarray(cv2.copyMakeBorder(image, *border, cv2.BORDER_REFLECT), dtype=np.uint8)
