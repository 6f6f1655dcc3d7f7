# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Captures that are nearly the same picture, on both sides of a split: what is learnt is then also what judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Copy = NDArray[np.float32]

__all__ = ["find_near_duplicates", "shrink_copy"]

SIDE = 32
"""Side of a small copy in pixels."""

ALIKE = 0.9
"""Correlation from which small copies show the same piece, after what all pictures share is taken out.

On magnetic_tile it holds for three of five pairs of captures of one tile, and for 13 of 37,000 other pairs."""

FEWEST = 3
"""With fewer pictures nobody knows what they share."""


def shrink_copy(image: NDArray[np.uint8]) -> Copy:
    """Reduce a picture to 32 x 32 grey pixels, whatever its exposure: mean 0 and length 1, ``(1024,)``.

    Args:
        image (NDArray[np.uint8]): ``(H, W, 3)`` RGB.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32).ravel()
    return _normalise(small - small.mean())


def find_near_duplicates(
    first: Mapping[str, Copy], second: Mapping[str, Copy], *, others: Sequence[Copy] = ()
) -> list[tuple[str, str]]:
    """Find pictures of one side that are nearly those of the other.

    Pictures of aligned parts are all alike. So their mean is taken out, and what is left is compared.

    Args:
        first (Mapping[str, NDArray[np.float32]]): Small copies of one side by name.
        second (Mapping[str, NDArray[np.float32]]): Those of the other side.
        others (Sequence[NDArray[np.float32]]): More pictures of such parts; they say what all have in common.

    Returns:
        list[tuple[str, str]]: Names of alike pictures, the most alike first.
    """
    if not first or not second or len(first) + len(second) + len(others) < FEWEST:
        return []
    mean = np.mean([*first.values(), *second.values(), *others], axis=0)
    sides = [np.stack([_normalise(copy - mean) for copy in side.values()]) for side in (first, second)]
    alike: NDArray[Any] = sides[0] @ sides[1].T
    rows, columns = np.nonzero(alike >= ALIKE)
    order = np.argsort(-alike[rows, columns], kind="stable")
    names = list(first), list(second)
    return [(names[0][rows[i]], names[1][columns[i]]) for i in order]


def _normalise(values: Copy) -> Copy:
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), dtype=np.float32)
