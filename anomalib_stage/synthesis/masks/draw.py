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
from anomalib_stage.synthesis.masks.free_position import draw_edge_position, draw_free_position
from anomalib_stage.synthesis.masks.shapes.canvas import Stamp
from anomalib_stage.synthesis.masks.shapes.families import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["draw_mask"]

# Extents below this many pixels have no shape to speak of.
TINY = 3.0


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
        allowed (np.ndarray | None): ``(H, W)``, bool: where the mask may be. The position is drawn evenly among these
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
    _check_arguments(shape, size, extent=extent, allowed=allowed)
    extent = max(float(extent), 1.0)
    if shape == "edge_chip":
        position, angle = draw_edge_position(size, extent=extent, rng=rng, allowed=allowed)
        return _put_stamp(_draw_stamp(shape, extent, rng=rng, angle=angle), size, position=position, allowed=allowed)
    stamp = _draw_stamp(shape, extent, rng=rng, angle=rng.uniform(0, 2 * math.pi))
    return _put_stamp(stamp, size, position=draw_free_position(stamp, size, rng=rng, allowed=allowed), allowed=allowed)


def _check_arguments(shape: str, size: tuple[int, int], *, extent: float, allowed: np.ndarray | None) -> None:
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


def _draw_stamp(shape: str, extent: float, *, rng: np.random.Generator, angle: float) -> Stamp:
    """Draw a stamp, or a row of pixels where the extent leaves no room for a shape."""
    if extent >= TINY:
        family: Callable[..., Stamp] = SHAPES[shape]
        return family(extent, rng=rng, angle=angle)
    cells = np.ones((1, round(extent)), bool)
    return Stamp(cells.T if rng.integers(2) else cells, (0, 0))


def _put_stamp(
    stamp: Stamp, size: tuple[int, int], *, position: tuple[int, int], allowed: np.ndarray | None
) -> np.ndarray:
    """Copy the part of a stamp that lies in the image, and in ``allowed``, into an empty mask."""
    mask = np.zeros(size, bool)
    top, left = (spot - anchor for spot, anchor in zip(position, stamp.anchor, strict=True))
    rows = slice(max(top, 0), min(top + stamp.cells.shape[0], size[0]))
    columns = slice(max(left, 0), min(left + stamp.cells.shape[1], size[1]))
    part = stamp.cells[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    mask[rows, columns] = part if allowed is None else part & allowed[rows, columns]
    return mask
