# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pasting a warped mask into an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.warp import WarpedMask

    Bools = NDArray[np.bool_]

__all__ = ["Paste", "paste"]


class Paste(NamedTuple):
    """The part of a warped mask that lies in an image and on the object, ``(h, w)`` bool.

    And which of its rows and columns that is, and the row and column of its corner in the image.
    """

    cells: Bools
    part: tuple[slice, slice]
    top: int
    left: int


def paste(warped: WarpedMask, position: tuple[float, float], allowed: Bools) -> Paste:
    """Put a mask's centre somewhere in an image; what is not on the object is left out.

    Args:
        warped (WarpedMask): The mask.
        position (tuple[float, float]): Row and column of its centre; it may lie outside the image.
        allowed (NDArray[np.bool_]): ``(H, W)``, the object.

    Returns:
        Paste: What is left, perhaps without any pixel.
    """
    sides = warped.cells.shape
    top, left = (round(at - (side - 1) / 2) for at, side in zip(position, sides, strict=True))
    rows, columns = (
        slice(max(start, 0), max(min(start + side, size), start, 0))
        for start, side, size in zip((top, left), sides, allowed.shape, strict=True)
    )
    part = (
        slice(max(-top, 0), max(-top, 0) + rows.stop - rows.start),
        slice(max(-left, 0), max(-left, 0) + columns.stop - columns.start),
    )
    return Paste(warped.cells[part] & allowed[rows, columns], part, rows.start, columns.start)
