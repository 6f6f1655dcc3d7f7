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

    from anomalib_stage.synthesis.masks.template_match import Pose

    Bools = NDArray[np.bool_]
    Pixels = NDArray[np.uint8]

__all__ = ["Paste", "Stamp", "count_parts", "jitter", "keep_few_parts", "paste", "warp"]

BEND = 0.04
"""How far a mask is bent, relative to its longer side."""


class Stamp(NamedTuple):
    """A mask as it will be laid, ``(h, w)`` bool with a pixel or more.

    And, to lay its defect's picture alike: where each pixel comes from, columns and rows ``(2, h, w)`` float32 in the
    mask's cells with one more around; pixels to a cell; whether it is mirrored.
    """

    cells: Bools
    source: NDArray[np.float32] | None
    scale: float
    flip: bool


class Paste(NamedTuple):
    """The part of a stamp that lies in an image and on the object, ``(h, w)`` bool.

    And which of the stamp's rows and columns that is, and the row and column of its corner in the image.
    """

    cells: Bools
    part: tuple[slice, slice]
    top: int
    left: int


def jitter(cells: Bools, pose: Pose, *, rng: np.random.Generator) -> Stamp:
    """Scale, turn, flip and bend a mask.

    Args:
        cells (NDArray[np.bool_]): The mask in its bounding box, ``(h, w)``, not empty.
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
            return Stamp(shape, np.stack([back_x, back_y]), scale, flip)
    if not shape.any():
        return Stamp(np.ones((1, 1), dtype=np.bool_), None, scale, flip)
    return Stamp(keep_few_parts(shape, count_parts(cells)), np.stack([back_x, back_y]), scale, flip)


def warp(pixels: Pixels, stamp: Stamp) -> Pixels | None:
    """Lay a defect's picture as its mask was laid.

    Args:
        pixels (NDArray[np.uint8]): ``(h, w, 3)``, the picture in the mask's cells; beyond its border it goes on.
        stamp (Stamp): The mask as :func:`jitter` laid it.

    Returns:
        NDArray[np.uint8] | None: In the size of the stamp's cells, with three channels; None if the mask shrank to a
        pixel of its own.
    """
    if stamp.source is None:
        return None
    whole = np.pad(pixels[:, ::-1] if stamp.flip else pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    columns, rows = stamp.source
    ratio = min(2.0 * stamp.scale, 1.0)  # what is laid much smaller is averaged first
    if ratio < 1.0:
        size = (max(round(whole.shape[1] * ratio), 1), max(round(whole.shape[0] * ratio), 1))
        columns, rows = (
            (at + 0.5) * (small / large) - 0.5
            for at, small, large in zip((columns, rows), size, whole.shape[1::-1], strict=True)
        )
        whole = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
    if stamp.scale < 1.0:
        blur = 0.4 * ratio / stamp.scale
        whole = np.asarray(cv2.GaussianBlur(whole, (0, 0), blur, borderType=cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.remap(whole, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def paste(stamp: Stamp, place: tuple[float, float], allowed: Bools) -> Paste:
    """Put a stamp's centre somewhere in an image; what is not on the object is left out.

    Args:
        stamp (Stamp): The mask.
        place (tuple[float, float]): Row and column of its centre; it may lie outside the image.
        allowed (NDArray[np.bool_]): ``(H, W)``, the object.

    Returns:
        Put: What is left, perhaps without any pixel.
    """
    sides = stamp.cells.shape
    top, left = (round(at - (side - 1) / 2) for at, side in zip(place, sides, strict=True))
    rows, columns = (
        slice(max(start, 0), max(min(start + side, size), start, 0))
        for start, side, size in zip((top, left), sides, allowed.shape, strict=True)
    )
    part = (
        slice(max(-top, 0), max(-top, 0) + rows.stop - rows.start),
        slice(max(-left, 0), max(-left, 0) + columns.stop - columns.start),
    )
    return Paste(stamp.cells[part] & allowed[rows, columns], part, rows.start, columns.start)


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
