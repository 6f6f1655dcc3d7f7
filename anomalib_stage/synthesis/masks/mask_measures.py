# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Measuring a real mask on its object: its place, size and direction."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.exemplar import fill_exemplar
from anomalib_stage.synthesis.masks.bank_mask import STORED_SIDE, BankMask
from anomalib_stage.synthesis.masks.templates.template import crop_template
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

__all__ = ["find_edge", "measure_mask"]

EDGE_REACH = 0.01
"""A defect lies on the object's edge if it comes this near to it, as a fraction of the object's shorter side."""


def measure_mask(mask: Bools, foreground: Bools, image: NDArray[np.uint8] | None = None) -> BankMask:
    """Describe a real mask on its object.

    Args:
        mask (NDArray[np.bool_]): ``(H, W)``, not empty.
        foreground (NDArray[np.bool_]): ``(H, W)``, the object, not empty.
        image (NDArray[np.uint8] | None): The image with the defect, ``(H, W, 3)`` RGB: it is kept, and what
            surrounds it.

    Returns:
        BankMask: The mask with its place.

    Raises:
        InputError: If one is empty or they differ in size.
    """
    if mask.shape != foreground.shape or not mask.any() or not foreground.any():
        msg = f"mask {mask.shape} and foreground {foreground.shape} must have one size and at least one pixel each"
        raise InputError(msg)
    top, left, height, width = bounding_box(foreground)
    short = min(height, width)
    mask_top, mask_left, mask_height, mask_width = bounding_box(mask)
    cells = mask[mask_top : mask_top + mask_height, mask_left : mask_left + mask_width]
    centre = (mask_top + (mask_height - 1) / 2, mask_left + (mask_width - 1) / 2)
    inside = np.pad(foreground, 1).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    nearest = float(distance[mask & foreground].min()) if (mask & foreground).any() else 0.0
    at = (min(max(round(centre[0]), 0), mask.shape[0] - 1), min(max(round(centre[1]), 0), mask.shape[1] - 1))
    edge = find_edge(foreground)
    towards = edge[np.square(edge - np.asarray(centre)).sum(axis=1).argmin()] - np.asarray(centre)
    direction, elongation = _measure_axis(cells)
    stored, exemplar = _reduce(cells), None
    if image is not None:
        part = image[mask_top : mask_top + mask_height, mask_left : mask_left + mask_width]
        size = (stored.shape[1], stored.shape[0])
        exemplar = np.asarray(cv2.resize(fill_exemplar(part, cells), size, interpolation=cv2.INTER_AREA), np.uint8)
    return BankMask(
        stored,
        row=(centre[0] - top) / max(height - 1, 1),
        column=(centre[1] - left) / max(width - 1, 1),
        length=max(mask_height, mask_width) / short,
        depth=float(distance[at]) / short,
        on_edge=nearest <= max(EDGE_REACH * short, 1.5),
        outward=math.atan2(towards[0], towards[1]),
        direction=direction,
        elongation=elongation,
        template=None if image is None else crop_template(image, mask),
        exemplar=exemplar,
    )


def find_edge(foreground: Bools) -> NDArray[np.int64]:
    """Return rows and columns, ``(n, 2)``, of the object's outermost pixels; the image's border ends the object too."""
    top, left, height, width = bounding_box(foreground)
    part = np.ascontiguousarray(foreground[top : top + height, left : left + width])
    inner = cv2.erode(np.pad(part, 1).astype(np.uint8), np.ones((3, 3), dtype=np.uint8))[1:-1, 1:-1]
    points: NDArray[np.int64] = np.argwhere(part & (inner == 0)) + np.array([top, left])
    return points


def _measure_axis(cells: Bools) -> tuple[float, float]:
    """Return the direction of the long axis in [0, pi), and the elongation."""
    points = np.argwhere(cells).astype(np.float64)
    points -= points.mean(axis=0)
    values, vectors = np.linalg.eigh(points.T @ points / len(points) + np.eye(2) / 12)
    long = vectors[:, 1]
    return math.atan2(long[0], long[1]) % math.pi, 1.0 - math.sqrt(values[0] / values[1])


def _reduce(cells: Bools) -> Bools:
    """Reduce a mask to the stored size; thin ones keep their line."""
    scale = STORED_SIDE / max(cells.shape)
    if scale >= 1.0:
        return cells.copy()
    size = (max(round(cells.shape[1] * scale), 1), max(round(cells.shape[0] * scale), 1))
    whole = cells.astype(np.uint8)
    cell = math.ceil(1.0 / scale)
    thin = whole & (cv2.morphologyEx(whole, cv2.MORPH_OPEN, np.ones((2 * cell, 2 * cell), dtype=np.uint8)) == 0)
    grown = cv2.dilate(thin, np.ones((cell + 1, cell + 1), dtype=np.uint8))
    lines = cv2.resize(grown, size, interpolation=cv2.INTER_NEAREST)
    bodies = cv2.resize(cells.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small: Bools = (bodies >= 0.5) | (lines > 0)
    return small
