# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lay a real mask, and the picture of its defect: scaled, turned, mirrored, bent a little, put somewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.surroundings import Pose

    Bools = NDArray[np.bool_]
    Pixels = NDArray[np.uint8]

__all__ = ["Put", "Stamp", "count_parts", "of_few_parts", "put", "varied"]

BEND = 0.04
"""How far a mask is bent, relative to its longer side."""


class Stamp(NamedTuple):
    """A mask as it will be laid, ``(h, w)`` bool with a pixel or more, and its defect's picture ``(h, w, 3)``."""

    cells: Bools
    pixels: Pixels | None


class Put(NamedTuple):
    """The part of a stamp that lies in an image and on the object, and the row and column of its corner."""

    cells: Bools
    pixels: Pixels | None
    top: int
    left: int


def varied(cells: Bools, pixels: Pixels | None, pose: Pose, *, rng: np.random.Generator) -> Stamp:
    """Scale, turn, flip and bend a mask and its defect's picture.

    Args:
        cells (NDArray[np.bool_]): The mask in its bounding box, ``(h, w)``.
        pixels (NDArray[np.uint8] | None): The defect's picture, ``(h, w, 3)``; None: not kept.
        pose (Pose): How it is laid.
        rng (np.random.Generator): Bends it.

    Returns:
        Stamp: A mask with no more parts than the given one had and at least one pixel.
    """
    length, turn, flip = pose
    scale = length / max(cells.shape)
    side = math.ceil(math.hypot(*cells.shape) * scale) + 5
    picture = np.pad((cells[:, ::-1] if flip else cells).astype(np.float32), 1)
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale, borderType=cv2.BORDER_CONSTANT) if scale < 1.0 else picture
    steps = np.arange(side, dtype=np.float32) - (side - 1) / 2
    bend = cv2.resize(rng.standard_normal((4, 4, 2)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    for amount in (BEND * length, 0.0):
        y, x = steps[:, None] + amount * bend[..., 0], steps + amount * bend[..., 1]
        back_x = (math.cos(turn) * x + math.sin(turn) * y) / scale + (picture.shape[1] - 1) / 2
        back_y = (-math.sin(turn) * x + math.cos(turn) * y) / scale + (picture.shape[0] - 1) / 2
        drawn = cv2.remap(smooth, back_x, back_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        shape: Bools = drawn >= min(0.5, float(drawn.max()) * 0.7 + 1e-6)
        if shape.any() and count_parts(shape) <= count_parts(cells):
            break
    else:
        shape = of_few_parts(shape if shape.any() else np.ones((1, 1), dtype=np.bool_), count_parts(cells))
    if pixels is None or shape.shape != drawn.shape:
        return Stamp(shape, None)
    source = np.pad(pixels[:, ::-1] if flip else pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    if scale < 1.0:
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.4 / scale, borderType=cv2.BORDER_REPLICATE), np.uint8)
    laid = cv2.remap(source, back_x, back_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Stamp(shape, np.asarray(laid, np.uint8))


def put(stamp: Stamp, place: tuple[float, float], allowed: Bools) -> Put:
    """Put a stamp's centre at a row and column of an image; what is not on the object ``(H, W)`` is left out."""
    sides = stamp.cells.shape
    top, left = (round(at - (side - 1) / 2) for at, side in zip(place, sides, strict=True))
    rows, columns = (
        slice(max(start, 0), max(min(start + side, size), start, 0))
        for start, side, size in zip((top, left), sides, allowed.shape, strict=True)
    )
    here = (
        slice(max(-top, 0), max(-top, 0) + rows.stop - rows.start),
        slice(max(-left, 0), max(-left, 0) + columns.stop - columns.start),
    )
    pixels = None if stamp.pixels is None else stamp.pixels[here]
    return Put(stamp.cells[here] & allowed[rows, columns], pixels, rows.start, columns.start)


def count_parts(mask: Bools) -> int:
    """Count the parts of a mask, connected over edges and corners."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def of_few_parts(mask: Bools, most: int) -> Bools:
    """Keep the largest parts of a mask."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count - 1 <= most:
        return mask
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:most]
    kept: Bools = np.isin(labels, largest)
    return kept
