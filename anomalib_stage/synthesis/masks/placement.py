# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Draw masks like real ones, in places like theirs; and the pictures of the defects that they were."""

from __future__ import annotations

import math
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.exemplar import Exemplar
from anomalib_stage.synthesis.masks.bank import STORED_SIDE, edge_points
from anomalib_stage.synthesis.masks.template_match import Pose, find_matches, refine_match
from anomalib_stage.synthesis.masks.warp import count_parts, jitter, keep_few_parts, paste, warp
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.bank import BankMask
    from anomalib_stage.synthesis.masks.warp import Paste, Stamp

    Bools = NDArray[np.bool_]
    Point = tuple[float, float]

__all__ = ["PlacedMask", "draw_with_exemplar"]

FIXED_SPREAD, FREE_JITTER, FIXED_JITTER = 0.12, 0.12, 0.02
"""Kinds whose places deviate by less stay where they were; jitter of the other kinds' places; jitter of theirs."""

MIN_CONCENTRATION = 0.75
"""Mean resultant length of the directions above which a defect has a direction of its own."""

TRIES = 24
MIN_KEPT = 0.97
"""Least share of a mask that must lie on the object; masks on its edge may lose half."""


SIZES = 0.22
"""Logarithm of the most that a mask is enlarged or reduced by, beside the object's size."""

SHARP = (0.7, 1.4)
"""Pictures of defects that are enlarged or reduced by factors in this range keep their camera's grain."""

POSES, WINDOW = 8, 0.25
"""Ways of laying a mask for which places are looked for; how far those may be from where it was on an object, relative
to the object's sides."""

AS_GOOD, NOISE = 1.2, 2.0
"""Places count as equally good up to this factor of the best one's difference, and this many grey levels."""


class PlacedMask(NamedTuple):
    """A drawn mask, ``(H, W)`` bool, and the picture of the defect that it was, laid as the mask is; None: not kept."""

    mask: Bools
    exemplar: Exemplar | None


def draw_with_exemplar(
    masks: Sequence[BankMask],
    size: tuple[int, int],
    *,
    foreground: Bools | None,
    rng: np.random.Generator,
    picture: NDArray[np.uint8] | None = None,
) -> PlacedMask:
    """Draw a mask like those of a bank, in a place like theirs, and lay the picture of its defect in the same way.

    The mask is scaled with the object (and by 0.8 to 1.25), turned freely unless the defect has a direction of its own,
    flipped and bent a little, and never falls into more parts than it had. Defects on the object's edge are put on its
    edge and turned to it; defects that were always in one place stay there. Where the image and what surrounded the
    mask are known, it is laid where and as its surroundings fit
    (:func:`~anomalib_stage.synthesis.masks.template_match.find_matches`), else near where it was.

    Args:
        masks (Sequence[BankMask]): Masks of one defect.
        size (tuple[int, int]): Height and width of the image in pixels.
        foreground (NDArray[np.bool_] | None): ``(H, W)``, the object; None: everywhere.
        rng (np.random.Generator): Source of all choices.
        picture (NDArray[np.uint8] | None): The image in grey, ``(H, W)``, see
            :func:`~anomalib_stage.synthesis.masks.template_match.to_grey`; None: not looked at.

    Returns:
        Drawn: A mask ``(H, W)``, not empty, on the object, with its exemplar.

    Raises:
        InputError: If there is no mask to draw from, or the object is empty or of another size than the image.
    """
    _check(masks, size, foreground)
    allowed = np.ones(size, dtype=np.bool_) if foreground is None else foreground
    entry = masks[int(rng.integers(len(masks)))]
    places = np.array([(mask.row, mask.column) for mask in masks])
    fixed = len(masks) > 2 and float(places.std(axis=0).max()) < FIXED_SPREAD
    laid = _near(entry, masks, allowed, fixed=fixed, rng=rng)
    if picture is not None and entry.around is not None and not entry.on_edge and not fixed:
        laid = chain(_fitting(entry, masks, entry.around, picture, foreground=foreground, rng=rng), laid)
    best, most = None, -1.0
    for place, pose in islice(laid, TRIES):
        stamp = jitter(entry.cells, pose, rng=rng)
        found = paste(stamp, place, allowed)
        kept = float(found.cells.sum()) / stamp.cells.sum()
        if kept > most:
            best, most = (stamp, found), kept
        if kept >= (0.5 if entry.on_edge else MIN_KEPT):
            break
    whole = np.zeros(size, dtype=np.bool_)
    if best is None or not best[1].cells.any():
        inside = np.flatnonzero(allowed)
        whole.flat[int(inside[rng.integers(len(inside))])] = True
        return PlacedMask(whole, None)
    stamp, (cells, _, top, left) = best
    whole[top : top + cells.shape[0], left : left + cells.shape[1]] = keep_few_parts(cells, count_parts(entry.cells))
    return PlacedMask(whole, _exemplar(entry, *best))


def _exemplar(entry: BankMask, stamp: Stamp, found: Paste) -> Exemplar | None:
    """Lay the picture of a mask's defect, if there is one, as the mask was laid."""
    pixels = None if entry.exemplar is None else warp(entry.exemplar, stamp)
    if pixels is None:
        return None
    sharp = max(entry.cells.shape) < STORED_SIDE and SHARP[0] <= stamp.scale <= SHARP[1]
    return Exemplar(pixels[found.part], found.top, found.left, sharp=sharp)


def _check(masks: Sequence[BankMask], size: tuple[int, int], foreground: Bools | None) -> None:
    if not masks:
        msg = "the bank has no mask of this defect; give at least one, or draw a shape"
        raise InputError(msg)
    if foreground is not None and (foreground.shape != tuple(size) or not foreground.any()):
        msg = f"the foreground has shape {foreground.shape} and {int(foreground.sum())} pixels; it must be of shape "
        raise InputError(msg + f"{tuple(size)}, the size of the image, with at least one pixel")


def _near(
    entry: BankMask, masks: Sequence[BankMask], allowed: Bools, *, fixed: bool, rng: np.random.Generator
) -> Iterator[tuple[Point, Pose]]:
    """Lay a mask near where it was on its object, again and again."""
    box = bounding_box(allowed)
    length = _length(entry, box, rng=rng)
    jitter = FIXED_JITTER if fixed else FREE_JITTER
    edge = edge_points(allowed) if entry.on_edge else None
    depths = _depths(allowed, box) if edge is None else np.zeros((0, 0))
    while True:
        if edge is None:
            place = _place(entry, box, depths=depths, jitter=jitter, rng=rng)
            yield place, Pose(length, _own_turn(masks, rng=rng), bool(rng.integers(2)))
        else:
            place, outward = _place_on_edge(
                entry, box, length=length, edge=edge, allowed=allowed, jitter=jitter, rng=rng
            )
            yield place, Pose(length, outward - entry.outward + 0.1 * float(rng.standard_normal()), flip=False)


def _fitting(
    entry: BankMask,
    masks: Sequence[BankMask],
    around: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    *,
    foreground: Bools | None,
    rng: np.random.Generator,
) -> Iterator[tuple[Point, Pose]]:
    """Lay a mask where its surroundings fit, in random order of the places that are about as good as the best.

    Half of the poses have the mask upright, turned by right angles unless the defect has a direction: what is made by
    machines is mostly aligned with the image.
    """
    box = (0, 0, *picture.shape) if foreground is None else bounding_box(foreground)
    window = None
    if foreground is not None:
        rows, columns = (
            slice(max(round(start + (at - WINDOW) * side), 0), round(start + (at + WINDOW) * side) + 1)
            for start, side, at in zip(box[:2], box[2:], (entry.row, entry.column), strict=True)
        )
        window = rows, columns
    directed = _has_direction(masks)
    poses = []
    for i in range(POSES):
        turn = _own_turn(masks, rng=rng)
        if i % 2 == 0 and not directed:
            turn = math.pi / 2 * int(rng.integers(4))
        poses.append(Pose(_length(entry, box, rng=rng), turn, bool(rng.integers(2))))
    fits = find_matches(picture, around, poses, rng=rng, window=window)
    good = [fit for fit in fits if fit.difference <= AS_GOOD * fits[0].difference + NOISE]
    for i in rng.permutation(len(good)):
        fit = refine_match(good[i], picture, around)
        yield (fit.row, fit.column), fit.pose


def _length(entry: BankMask, box: tuple[int, int, int, int], *, rng: np.random.Generator) -> float:
    """Draw a mask's longer side in pixels, for an object of this bounding box."""
    length = entry.length * min(box[2], box[3]) * math.exp(rng.uniform(-SIZES, SIZES))
    return min(max(length, 1.0), float(max(box[2], box[3])))


def _depths(allowed: Bools, box: tuple[int, int, int, int]) -> NDArray[Any]:
    """Distance of each pixel of the object's bounding box from the object's edge."""
    top, left, height, width = box
    inside = np.pad(allowed[top : top + height, left : left + width], 1).astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]


def _near_its_place(
    entry: BankMask, box: tuple[int, int, int, int], *, jitter: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw places around the mask's old place on the object, rows and columns ``(count, 2)``."""
    top, left, height, width = box
    relative = (np.array([entry.row, entry.column]) + jitter * rng.standard_normal((count, 2))).clip(0.0, 1.0)
    places: NDArray[np.float64] = relative * [height - 1, width - 1] + [top, left]
    return places


def _place(
    entry: BankMask,
    box: tuple[int, int, int, int],
    *,
    depths: NDArray[Any],
    jitter: float,
    rng: np.random.Generator,
) -> Point:
    """Draw where the mask's centre comes to lie: near its old place on the object, and as deep in it as it was."""
    places = _near_its_place(entry, box, jitter=jitter, count=6, rng=rng)
    rows, columns = places.round().astype(int).T
    found = depths[rows - box[0], columns - box[1]] / min(box[2], box[3])
    row, column = places[int(np.abs(found - entry.depth).argmin())]
    return float(row), float(column)


def _place_on_edge(
    entry: BankMask,
    box: tuple[int, int, int, int],
    *,
    length: float,
    edge: NDArray[np.int64],
    allowed: Bools,
    jitter: float,
    rng: np.random.Generator,
) -> tuple[Point, float]:
    """Draw a point of the edge near the mask's old place, go inwards as far as it was, and say where outwards is.

    A mask of another length lies deeper or less deep, so that it reaches the edge as before.
    """
    [wanted] = _near_its_place(entry, box, jitter=jitter, count=1, rng=rng)
    distances = np.square(edge - wanted).sum(axis=1)
    near = np.argsort(distances, kind="stable")[: max(len(edge) // 16, 1)]
    row, column = edge[int(rng.choice(near))]
    outward = _outward(allowed, (float(row), float(column)))
    inwards = entry.depth * length / entry.length - 1.0  # the edge's own pixels are one deep
    return (float(row) - inwards * math.sin(outward), float(column) - inwards * math.cos(outward)), outward


def _own_turn(masks: Sequence[BankMask], *, rng: np.random.Generator) -> float:
    """Draw by how much the mask is turned, in radians: hardly, where the defect has a direction of its own."""
    if _has_direction(masks):
        return 0.08 * float(rng.standard_normal()) + math.pi * int(rng.integers(2))
    return float(rng.uniform(0.0, 2.0 * math.pi))


def _has_direction(masks: Sequence[BankMask]) -> bool:
    weights = np.array([mask.elongation for mask in masks])
    doubled = np.exp(2j * np.array([mask.direction for mask in masks]))
    concentration = abs((weights * doubled).sum()) / max(float(weights.sum()), 1e-9)
    return len(masks) > 2 and weights.mean() > 0.3 and bool(concentration > MIN_CONCENTRATION)


def _outward(allowed: Bools, place: Point) -> float:
    """Direction out of the object at a point of its edge."""
    reach = max(min(allowed.shape) // 24, 2)
    row, column = round(place[0]), round(place[1])
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    rows, columns = row + down[:, 0], column + right[0]
    window = allowed[np.ix_(rows.clip(0, allowed.shape[0] - 1), columns.clip(0, allowed.shape[1] - 1))]
    window = window & ((rows >= 0) & (rows < allowed.shape[0]))[:, None]
    window = window & ((columns >= 0) & (columns < allowed.shape[1]))
    return math.atan2(-float((window * down).sum()), -float((window * right).sum()))
