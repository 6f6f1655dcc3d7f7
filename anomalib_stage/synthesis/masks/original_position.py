# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a real mask comes to lie: near where it was on its object."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.mask_measures import find_edge
from anomalib_stage.synthesis.masks.pose import draw_length, draw_turn
from anomalib_stage.synthesis.masks.templates.template import Pose
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.bank_mask import BankMask

    Bools = NDArray[np.bool_]
    Point = tuple[float, float]

__all__ = ["propose_original_positions"]

FREE_JITTER, FIXED_JITTER = 0.12, 0.02
"""Jitter of positions, relative to the object; and of those of defects that were always in one place."""


def propose_original_positions(
    entry: BankMask, masks: Sequence[BankMask], allowed: Bools, *, fixed: bool, rng: np.random.Generator
) -> Iterator[tuple[Point, Pose]]:
    """Propose positions and poses near where a mask was on its object, again and again.

    Args:
        entry (BankMask): The mask.
        masks (Sequence[BankMask]): All masks of its defect.
        allowed (NDArray[np.bool_]): ``(H, W)``, the object.
        fixed (bool): Its defect was always in one place.
        rng (np.random.Generator): Source of all choices.

    Yields:
        tuple[Point, Pose]: Row and column of the mask's centre, and how it lies.
    """
    box = bounding_box(allowed)
    length = draw_length(entry, box, rng=rng)
    jitter = FIXED_JITTER if fixed else FREE_JITTER
    edge = find_edge(allowed) if entry.on_edge else None
    depths = _measure_depths(allowed, box) if edge is None else np.zeros((0, 0))
    while True:
        if edge is None:
            position = _draw_at_depth(entry, box, depths=depths, jitter=jitter, rng=rng)
            yield position, Pose(length, draw_turn(masks, rng=rng), bool(rng.integers(2)))
        else:
            position, outward = _draw_on_edge(
                entry, box, length=length, edge=edge, allowed=allowed, jitter=jitter, rng=rng
            )
            yield position, Pose(length, outward - entry.outward + 0.1 * float(rng.standard_normal()), flip=False)


def _measure_depths(allowed: Bools, box: tuple[int, int, int, int]) -> NDArray[Any]:
    """Return the distance of each pixel of the object's bounding box from the object's edge."""
    top, left, height, width = box
    inside = np.pad(allowed[top : top + height, left : left + width], 1).astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]


def _draw_near(
    entry: BankMask, box: tuple[int, int, int, int], *, jitter: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw positions around the mask's old one on the object, rows and columns ``(count, 2)``."""
    top, left, height, width = box
    relative = (np.array([entry.row, entry.column]) + jitter * rng.standard_normal((count, 2))).clip(0.0, 1.0)
    positions: NDArray[np.float64] = relative * [height - 1, width - 1] + [top, left]
    return positions


def _draw_at_depth(
    entry: BankMask,
    box: tuple[int, int, int, int],
    *,
    depths: NDArray[Any],
    jitter: float,
    rng: np.random.Generator,
) -> Point:
    """Draw where the mask's centre comes to lie: near its old position on the object, and as deep in it as it was."""
    positions = _draw_near(entry, box, jitter=jitter, count=6, rng=rng)
    rows, columns = positions.round().astype(int).T
    found = depths[rows - box[0], columns - box[1]] / min(box[2], box[3])
    row, column = positions[int(np.abs(found - entry.depth).argmin())]
    return float(row), float(column)


def _draw_on_edge(
    entry: BankMask,
    box: tuple[int, int, int, int],
    *,
    length: float,
    edge: NDArray[np.int64],
    allowed: Bools,
    jitter: float,
    rng: np.random.Generator,
) -> tuple[Point, float]:
    """Draw a point of the edge near the mask's old position, go inwards as far as it was, and say where outwards is.

    A mask of another length lies deeper or less deep, so that it reaches the edge as before.
    """
    [wanted] = _draw_near(entry, box, jitter=jitter, count=1, rng=rng)
    distances = np.square(edge - wanted).sum(axis=1)
    near = np.argsort(distances, kind="stable")[: max(len(edge) // 16, 1)]
    row, column = edge[int(rng.choice(near))]
    outward = _find_outward(allowed, (float(row), float(column)))
    inwards = entry.depth * length / entry.length - 1.0  # the edge's own pixels are one deep
    return (float(row) - inwards * math.sin(outward), float(column) - inwards * math.cos(outward)), outward


def _find_outward(allowed: Bools, position: Point) -> float:
    """Return the direction out of the object at a point of its edge."""
    reach = max(min(allowed.shape) // 24, 2)
    row, column = round(position[0]), round(position[1])
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    rows, columns = row + down[:, 0], column + right[0]
    window = allowed[np.ix_(rows.clip(0, allowed.shape[0] - 1), columns.clip(0, allowed.shape[1] - 1))]
    window = window & ((rows >= 0) & (rows < allowed.shape[0]))[:, None]
    window = window & ((columns >= 0) & (columns < allowed.shape[1]))
    return math.atan2(-float((window * down).sum()), -float((window * right).sum()))
