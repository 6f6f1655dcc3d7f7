# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of real defects with their places on the object: what a fitted bundle knows about masks.

Every mask is kept together with its place, size and direction, so that drawing one draws from their joint distribution:
large chips where large chips were, prints where prints were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.exemplar import fill_exemplar
from anomalib_stage.synthesis.masks.template_match import SIDE, crop_around
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

__all__ = [
    "BANK_PREFIXES",
    "COLUMNS",
    "BankMask",
    "edge_points",
    "measure_mask",
    "pack_bank",
    "unpack_bank",
]

STORED_SIDE = 192
"""Masks with a longer side are stored reduced to this one."""

EDGE_REACH = 0.01
"""A defect lies on the object's edge if it comes this near to it, as a fraction of the object's shorter side."""


@dataclass(frozen=True, eq=False)
class BankMask:
    """A real mask and where it was.

    Args:
        cells (NDArray[np.bool_]): The mask in its bounding box, at most 192 cells a side.
        row (float): Row of its centre relative to the object's bounding box, 0 top, 1 bottom.
        column (float): Column, 0 left, 1 right.
        length (float): Its longer side, relative to the shorter side of that box.
        depth (float): Distance of its centre from the object's edge, relative to that side.
        on_edge (bool): It lies on the object's edge.
        outward (float): Direction from its centre to the nearest point of the edge, radians from the column axis.
        direction (float): Direction of its long axis, radians in [0, pi).
        elongation (float): Share by which the long axis exceeds the short one, 0 round to 1 a line.
        around (NDArray[np.uint8] | None): What surrounded it, ``(48, 48)``, see
            :func:`~anomalib_stage.synthesis.masks.template_match.crop_around`; None: not kept.
        exemplar (NDArray[np.uint8] | None): The defect itself, RGB in the cells' size ``(h, w, 3)``, see
            :func:`~anomalib_stage.synthesis.appearance.exemplar.completed`; None: not kept.
    """

    cells: Bools
    row: float
    column: float
    length: float
    depth: float
    on_edge: bool
    outward: float
    direction: float
    elongation: float
    around: NDArray[np.uint8] | None = None
    exemplar: NDArray[np.uint8] | None = None


NOT_COLUMNS = {"cells", "around", "exemplar"}
COLUMNS = ("height", "width", *(field.name for field in fields(BankMask) if field.name not in NOT_COLUMNS))
"""Columns of the tensor ``prior.<defect>``, one row for each mask; ``mask_bank.<defect>`` holds the masks' packed bits,
``around.<defect>`` pictures of what surrounded them, ``exemplar.<defect>`` pictures of the defects."""

BANK_PREFIXES = ("mask_bank.", "prior.", "around.", "exemplar.")
"""Names of a bank's tensors begin with these."""


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
    edge = edge_points(foreground)
    towards = edge[np.square(edge - np.asarray(centre)).sum(axis=1).argmin()] - np.asarray(centre)
    direction, elongation = _axis(cells)
    stored, exemplar = _reduced(cells), None
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
        around=None if image is None else crop_around(image, mask),
        exemplar=exemplar,
    )


def pack_bank(bank: Mapping[str, Sequence[BankMask]]) -> dict[str, NDArray[np.uint8] | NDArray[np.float32]]:
    """Return arrays ``mask_bank.<defect>`` (uint8, packed bits), ``prior.<defect>`` (float32 rows of ``COLUMNS``).

    And, if they are kept for all masks of the defect, ``around.<defect>`` (uint8 ``(n, 48, 48)``) and
    ``exemplar.<defect>`` (uint8, the pixels of all pictures one after the other).
    """
    packed: dict[str, NDArray[np.uint8] | NDArray[np.float32]] = {}
    for defect, masks in bank.items():
        if not masks:
            continue
        rows = [[*mask.cells.shape, *(float(getattr(mask, name)) for name in COLUMNS[2:])] for mask in masks]
        packed[f"mask_bank.{defect}"] = np.concatenate([np.packbits(mask.cells) for mask in masks])
        packed[f"prior.{defect}"] = np.asarray(rows, dtype=np.float32)
        around = [mask.around for mask in masks if mask.around is not None]
        if len(around) == len(masks):
            packed[f"around.{defect}"] = np.stack(around)
        exemplars = [mask.exemplar.ravel() for mask in masks if mask.exemplar is not None]
        if len(exemplars) == len(masks):
            packed[f"exemplar.{defect}"] = np.concatenate(exemplars)
    return packed


def unpack_bank(arrays: Mapping[str, NDArray[Any]]) -> dict[str, list[BankMask]]:
    """Read what :func:`pack_bank` wrote; arrays with other names are ignored.

    Raises:
        InputError: If a defect has only one of its two first arrays, or they do not fit each other.
    """
    names = sorted({name.partition(".")[2] for name in arrays if name.startswith(BANK_PREFIXES)})
    return {defect: _unpack(defect, *(arrays.get(prefix + defect) for prefix in BANK_PREFIXES)) for defect in names}


def _unpack(
    defect: str,
    bits: NDArray[Any] | None,
    prior: NDArray[Any] | None,
    around: NDArray[Any] | None,
    exemplar: NDArray[Any] | None,
) -> list[BankMask]:
    if bits is None or prior is None:
        msg = f"the bank of {defect!r} has only one of mask_bank.{defect} and prior.{defect}; both are needed"
        raise InputError(msg)
    sizes_fit = (
        bits.dtype == np.uint8
        and bits.ndim == 1
        and prior.ndim == 2
        and prior.shape[0] > 0
        and prior.shape[1] == len(COLUMNS)
        and bool(np.isfinite(prior.astype(np.float64)).all())
        and bool(((prior[:, :2] >= 1) & (prior[:, :2] <= STORED_SIDE)).all())
    )
    counts = (prior[:, 0] * prior[:, 1]).astype(np.int64) if sizes_fit else np.zeros(1, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(-(-counts // 8))])
    if not sizes_fit or int(starts[-1]) != len(bits):
        msg = (
            f"the bank of {defect!r} is malformed: mask_bank has shape {bits.shape}, prior {prior.shape}; prior needs "
            f"the columns {', '.join(COLUMNS)}, and mask_bank the bits of every mask"
        )
        raise InputError(msg)
    wanted = {"around": (around, (len(prior), SIDE, SIDE)), "exemplar": (exemplar, (3 * int(counts.sum()),))}
    for name, (found, shape) in wanted.items():
        if found is not None and (found.dtype != np.uint8 or found.shape != shape):
            msg = (
                f"the bank of {defect!r} is malformed: {name} is {found.dtype} of shape {found.shape}; must be uint8 "
                f"of shape {shape}, a picture for each mask"
            )
            raise InputError(msg)
    masks, pixels = [], 3 * np.concatenate([[0], np.cumsum(counts)])
    for i, values in enumerate(prior.astype(np.float64)):
        shape = (int(values[0]), int(values[1]))
        cells = np.unpackbits(bits[starts[i] : starts[i + 1]].astype(np.uint8), count=int(counts[i])).reshape(shape) > 0
        named = dict(zip(COLUMNS[2:], values[2:].tolist(), strict=True))
        picture = None if around is None else around[i]
        own = None if exemplar is None else exemplar[pixels[i] : pixels[i + 1]].reshape(*shape, 3)
        masks.append(BankMask(cells, **{**named, "on_edge": named["on_edge"] > 0.5}, around=picture, exemplar=own))
    if not all(mask.cells.any() for mask in masks):
        msg = f"the bank of {defect!r} holds an empty mask"
        raise InputError(msg)
    return masks


def edge_points(foreground: Bools) -> NDArray[np.int64]:
    """Return rows and columns, ``(n, 2)``, of the object's outermost pixels; the image's border ends the object too."""
    top, left, height, width = bounding_box(foreground)
    part = np.ascontiguousarray(foreground[top : top + height, left : left + width])
    inner = cv2.erode(np.pad(part, 1).astype(np.uint8), np.ones((3, 3), dtype=np.uint8))[1:-1, 1:-1]
    points: NDArray[np.int64] = np.argwhere(part & (inner == 0)) + np.array([top, left])
    return points


def _axis(cells: Bools) -> tuple[float, float]:
    """Direction of the long axis in [0, pi), and the elongation."""
    points = np.argwhere(cells).astype(np.float64)
    points -= points.mean(axis=0)
    values, vectors = np.linalg.eigh(points.T @ points / len(points) + np.eye(2) / 12)
    long = vectors[:, 1]
    return math.atan2(long[0], long[1]) % math.pi, 1.0 - math.sqrt(values[0] / values[1])


def _reduced(cells: Bools) -> Bools:
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
