# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Defect-shaped masks, drawn where defects may be.

A shape is drawn as a *stamp* of about ``extent`` pixels a side (:mod:`anomalib_stage.synthesis.masks.shapes`) and then
put somewhere in the image. The work follows the size of the defect, not the size of the image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.masks.shapes import SHAPES, Stamp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SHAPES", "draw_extent", "draw_mask"]

_TINY = 3.0  # extents below this many pixels have no shape to speak of
_INSIDE = 0.85  # share of masks kept inside the image where no area is given; the others may be cut by its edge
_TRIES = 32  # single pixels tried before the whole allowed area is listed


def draw_mask(
    shape: str,
    size: tuple[int, int],
    *,
    extent: float,
    rng: np.random.Generator,
    allowed: np.ndarray | None = None,
) -> np.ndarray:
    """Draw one defect mask.

    The longest side of the mask's bounding box is ``extent`` within 10 % plus 1.5 px, unless the mask was cut by the
    image's edge or by ``allowed``. Extents below 3 px give 1 to 3 pixels in a row. ``edge_chip`` touches the edge of
    ``allowed`` (of the image without it); its extent is measured along a straight edge.

    Args:
        shape (str): One of :data:`SHAPES`.
        size (tuple[int, int]): Height and width of the image in pixels.
        extent (float): Longest side of the mask in pixels; values below 1 count as 1, larger than the image is fine.
        rng (np.random.Generator): Stream that every draw comes from.
        allowed (np.ndarray | None): ``(H, W)``, bool: where the mask may be. The place is drawn evenly among these
            pixels and nothing is set outside. ``None`` allows the whole image.

    Returns:
        np.ndarray: ``(H, W)``, bool, with at least one pixel set.

    Raises:
        InputError: If the shape is unknown, the size or extent is no positive number, or ``allowed`` does not fit.

    Example:
        >>> mask = draw_mask("blob", (64, 96), extent=20, rng=np.random.default_rng(0))
        >>> mask.shape, mask.dtype, bool(mask.any())
        ((64, 96), dtype('bool'), True)
    """
    _check(shape, size, extent=extent, allowed=allowed)
    extent = max(float(extent), 1.0)
    if shape == "edge_chip":
        place, angle = _edge(size, extent=extent, rng=rng, allowed=allowed)
        return _put(_stamp(shape, extent, rng=rng, angle=angle), size, place=place, allowed=allowed)
    stamp = _stamp(shape, extent, rng=rng, angle=rng.uniform(0, 2 * math.pi))
    return _put(stamp, size, place=_place(stamp, size, rng=rng, allowed=allowed), allowed=allowed)


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


def _check(shape: str, size: tuple[int, int], *, extent: float, allowed: np.ndarray | None) -> None:
    """Refuse arguments that :func:`draw_mask` cannot work with."""
    if shape not in SHAPES:
        msg = f"Unknown mask shape {shape!r}. Known shapes: {', '.join(SHAPES)}. Use one of them."
        raise InputError(msg)
    if min(size) < 1 or not (math.isfinite(extent) and extent > 0):
        msg = f"Cannot draw a mask of extent {extent} in an image of size {size}. Both need positive, finite numbers."
        raise InputError(msg)
    if allowed is None:
        return
    if allowed.shape != tuple(size) or allowed.dtype != bool:
        msg = (
            f"The allowed area is {allowed.dtype} of shape {allowed.shape}; it must be bool of shape {tuple(size)}, "
            "the size of the image. Resize it, or compare it with a threshold."
        )
        raise InputError(msg)
    if not allowed.any():
        msg = "The allowed area has no pixel, so no defect fits into it. Allow at least one pixel, or pass None."
        raise InputError(msg)


def _stamp(shape: str, extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """Draw a stamp, or a row of pixels where the extent leaves no room for a shape."""
    if extent >= _TINY:
        family: Callable[..., Stamp] = SHAPES[shape]
        return family(extent, rng=rng, angle=angle)
    cells = np.ones((1, round(extent)), bool)
    return Stamp(cells.T if rng.integers(2) else cells, (0, 0))


def _allowed_pixel(allowed: np.ndarray, *, rng: np.random.Generator) -> tuple[int, int]:
    """Draw one allowed pixel, every one with the same probability."""
    height, width = allowed.shape
    for row, column in zip(
        rng.integers(height, size=_TRIES).tolist(), rng.integers(width, size=_TRIES).tolist(), strict=True
    ):
        if allowed[row, column]:
            return row, column
    places = np.flatnonzero(allowed)
    row, column = divmod(int(places[rng.integers(len(places))]), width)
    return row, column


def _place(
    stamp: Stamp, size: tuple[int, int], *, rng: np.random.Generator, allowed: np.ndarray | None
) -> tuple[int, int]:
    """Draw the row and column that the stamp's anchor comes to lie on."""
    if allowed is not None:
        return _allowed_pixel(allowed, rng=rng)
    if rng.random() > _INSIDE:
        return int(rng.integers(size[0])), int(rng.integers(size[1]))
    row, column = (
        # Slide the stamp inside the image; one that is larger slides over it and covers it where it can.
        int(np.clip(rng.integers(min(0, side - length), max(0, side - length) + 1) + anchor, 0, side - 1))
        for side, length, anchor in zip(size, stamp.cells.shape, stamp.anchor, strict=True)
    )
    return row, column


def _put(stamp: Stamp, size: tuple[int, int], *, place: tuple[int, int], allowed: np.ndarray | None) -> np.ndarray:
    """Copy the part of a stamp that lies in the image, and in ``allowed``, into an empty mask."""
    mask = np.zeros(size, bool)
    top, left = (spot - anchor for spot, anchor in zip(place, stamp.anchor, strict=True))
    rows = slice(max(top, 0), min(top + stamp.cells.shape[0], size[0]))
    columns = slice(max(left, 0), min(left + stamp.cells.shape[1], size[1]))
    part = stamp.cells[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    mask[rows, columns] = part if allowed is None else part & allowed[rows, columns]
    return mask


def _edge(
    size: tuple[int, int], *, extent: float, rng: np.random.Generator, allowed: np.ndarray | None
) -> tuple[tuple[int, int], float]:
    """Find a place on the edge of the allowed area and the direction from there into the area.

    A ray from a random allowed pixel ends where it leaves the area for the first time. The direction points to the
    mean of the allowed pixels around that place; the image's outside counts as not allowed.

    Returns:
        tuple[tuple[int, int], float]: Row and column; angle in radians, 0 along the columns, growing with the rows.
    """
    start = _allowed_pixel(np.broadcast_to(True, size) if allowed is None else allowed, rng=rng)
    heading = rng.uniform(0, 2 * math.pi)
    steps = np.arange(math.ceil(math.hypot(*size)) + 1)
    rows = np.rint(start[0] + steps * math.sin(heading)).astype(int)
    columns = np.rint(start[1] + steps * math.cos(heading)).astype(int)
    inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    rows, columns = rows[inside], columns[inside]
    free = np.ones(len(rows), bool) if allowed is None else allowed[rows, columns]
    last = len(rows) - 1 if free.all() else int(np.argmin(free)) - 1
    row, column = int(rows[last]), int(columns[last])

    reach = max(2, round(extent / 4))
    near_rows, near_columns = np.ogrid[row - reach : row + reach + 1, column - reach : column + reach + 1]
    near = (near_rows >= 0) & (near_rows < size[0]) & (near_columns >= 0) & (near_columns < size[1])
    if allowed is not None:
        near = near & allowed[np.clip(near_rows, 0, size[0] - 1), np.clip(near_columns, 0, size[1] - 1)]
    down = float((near * (near_rows - row)).sum())
    right = float((near * (near_columns - column)).sum())
    return (row, column), math.atan2(down, right) if (down, right) != (0, 0) else heading + math.pi
