# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Warping a real mask, and the picture of its defect: scaled, turned, mirrored, bent a little."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.mask_parts import count_parts, keep_few_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.templates.template import Pose

    Bools = NDArray[np.bool_]
    Pixels = NDArray[np.uint8]

__all__ = ["WarpedMask", "jitter", "warp"]

BEND = 0.04
"""How far a mask is bent, relative to its longer side."""


class WarpedMask(NamedTuple):
    """A mask as it will be pasted, ``(h, w)`` bool with a pixel or more.

    And, to warp its defect's picture alike: where each pixel comes from, columns and rows ``(2, h, w)`` float32 in the
    mask's cells with one more around; pixels to a cell; whether it is mirrored.
    """

    cells: Bools
    source: NDArray[np.float32] | None
    scale: float
    flip: bool


def jitter(cells: Bools, pose: Pose, *, rng: np.random.Generator) -> WarpedMask:
    """Scale, turn, flip and bend a mask.

    Args:
        cells (NDArray[np.bool_]): The mask in its bounding box, ``(h, w)``, not empty.
        pose (Pose): How it is to lie.
        rng (np.random.Generator): Bends it.

    Returns:
        WarpedMask: A mask with no more parts than the given one had and at least one pixel.
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
            return WarpedMask(shape, np.stack([back_x, back_y]), scale, flip)
    if not shape.any():
        return WarpedMask(np.ones((1, 1), dtype=np.bool_), None, scale, flip)
    return WarpedMask(keep_few_parts(shape, count_parts(cells)), np.stack([back_x, back_y]), scale, flip)


def warp(pixels: Pixels, warped: WarpedMask) -> Pixels | None:
    """Warp a defect's picture as its mask was.

    Args:
        pixels (NDArray[np.uint8]): ``(h, w, 3)``, the picture in the mask's cells; beyond its border it goes on.
        warped (WarpedMask): The mask as :func:`jitter` made it.

    Returns:
        NDArray[np.uint8] | None: In the size of the mask's cells, with three channels; None if the mask shrank to a
        pixel of its own.
    """
    if warped.source is None:
        return None
    whole = np.pad(pixels[:, ::-1] if warped.flip else pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    columns, rows = warped.source
    ratio = min(2.0 * warped.scale, 1.0)  # what becomes much smaller is averaged first
    if ratio < 1.0:
        size = (max(round(whole.shape[1] * ratio), 1), max(round(whole.shape[0] * ratio), 1))
        columns, rows = (
            (at + 0.5) * (small / large) - 0.5
            for at, small, large in zip((columns, rows), size, whole.shape[1::-1], strict=True)
        )
        whole = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
    if warped.scale < 1.0:
        blur = 0.4 * ratio / warped.scale
        whole = np.asarray(cv2.GaussianBlur(whole, (0, 0), blur, borderType=cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.remap(whole, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
