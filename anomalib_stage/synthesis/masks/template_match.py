# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a real mask would fit: places whose surroundings look like those it had.

A cut is one across a track, a bridge is one between two tracks. Where in the image that is differs from image to image;
what surrounds it does not. So a bundle keeps a small grey picture of what surrounded each real mask, without what was
in it, and masks are drawn where the image looks like that (template matching over all places, OpenCV's).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Grey = NDArray[np.uint8]

__all__ = ["SIDE", "Fit", "Pose", "crop_around", "find_matches", "refine_match", "to_grey"]

SIDE = 48
"""Cells a side of a kept picture."""

SPAN = 3.0
"""Its side, relative to the mask's longer side."""

NEAREST, REACH, FARTHEST = 1.5, 0.5, (3.0, 24.0)
"""Pixels looked at are at least so many from the mask (its edge is blurred, or drawn loosely), and at most this share
of its longer side, within these pixels."""

SEARCHED = 192
"""Images whose shorter side has more pixels are searched reduced to it."""

KEPT = 3
"""Best places kept for each pose."""

ALIKE = 2.0
"""Grey levels by which places may differ and are still taken by chance: where all is alike, they are anywhere."""


class Pose(NamedTuple):
    """How a mask is laid: its longer side in pixels, by how many radians it is turned, whether it is mirrored."""

    length: float
    turn: float
    flip: bool


class Fit(NamedTuple):
    """A place for a mask: root mean square difference of the surroundings in grey levels, its centre, and the pose."""

    difference: float
    row: float
    column: float
    pose: Pose


def to_grey(image: NDArray[np.uint8]) -> Grey:
    """Return an RGB image ``(H, W, 3)`` in grey, ``(H, W)`` uint8 in 1 to 255: 0 stands for unknown."""
    return np.maximum(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), 1).astype(np.uint8)


def crop_around(image: NDArray[np.uint8], mask: Bools) -> Grey:
    """Picture what surrounds a mask.

    Args:
        image (NDArray[np.uint8]): ``(H, W, 3)`` RGB, with the defect.
        mask (NDArray[np.bool_]): ``(H, W)``, not empty.

    Returns:
        NDArray[np.uint8]: ``(48, 48)``, three times as wide as the mask is long, around the middle of its bounding box;
        0 where the mask is or was near, far from it, and outside the image.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    length = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    middle = (float(rows[0] + rows[-1]) / 2, float(columns[0] + columns[-1]) / 2)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    far = min(max(REACH * length, FARTHEST[0]), FARTHEST[1])
    known = (distance > NEAREST) & (distance <= far)
    cell = SPAN * length / SIDE
    # row and column of the image for each cell
    matrix = np.array([[cell, 0, middle[1] - cell * (SIDE - 1) / 2], [0, cell, middle[0] - cell * (SIDE - 1) / 2]])
    values, weights = _resampled(to_grey(image), known, matrix, SIDE, cell=cell)
    return np.where(weights, values.round().clip(1, 255), 0).astype(np.uint8)


def find_matches(
    picture: Grey,
    around: Grey,
    poses: Sequence[Pose],
    *,
    rng: np.random.Generator,
    window: tuple[slice, slice] | None = None,
) -> list[Fit]:
    """Find the places of an image where a mask's surroundings fit best.

    Args:
        picture (NDArray[np.uint8]): The image in grey, ``(H, W)``, see :func:`to_grey`.
        around (NDArray[np.uint8]): What surrounded the mask, ``(48, 48)``.
        poses (Sequence[Pose]): How the mask may be laid.
        rng (np.random.Generator): Decides between places that are alike.
        window (tuple[slice, slice] | None): Rows and columns in which its centre must lie; None: anywhere.

    Returns:
        list[Fit]: Up to three places for each pose, best ones first. Empty if nothing is known of the surroundings.
    """
    scale = min(1.0, SEARCHED / min(picture.shape))
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    small = picture if scale == 1.0 else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    found: list[Fit] = []
    for pose in poses:
        differences = _differences(small, around, pose._replace(length=pose.length * scale))
        if differences is None:
            return []
        differences += ALIKE * rng.random(differences.shape, dtype=np.float32)
        _keep_inside(differences, pose.length * scale / 2)
        if window is not None:
            _keep_within(differences, window, scale=scale)
        for row, column, difference in _best(differences, apart=max(round(pose.length * scale / 2), 1)):
            found.append(Fit(difference, (row + 0.5) / scale - 0.5, (column + 0.5) / scale - 0.5, pose))
    return sorted(found)


def refine_match(fit: Fit, picture: Grey, around: Grey) -> Fit:
    """Look again for the best place near one, with every pixel of the image.

    Args:
        fit (Fit): A place that :func:`find_matches` found; it may be a few pixels off, where it searched a reduced
            image.
        picture (NDArray[np.uint8]): As there.
        around (NDArray[np.uint8]): As there.

    Returns:
        Fit: The best place within the pixels that one of the reduced image covers.
    """
    reach = math.ceil(min(picture.shape) / SEARCHED)
    if reach <= 1:
        return fit
    half = math.ceil(SPAN * fit.pose.length / 2) + reach + 1
    top, left = round(fit.row) - half, round(fit.column) - half
    rows = np.arange(top, top + 2 * half + 1).clip(0, picture.shape[0] - 1)
    columns = np.arange(left, left + 2 * half + 1).clip(0, picture.shape[1] - 1)
    differences = _differences(picture[np.ix_(rows, columns)], around, fit.pose)
    if differences is None:
        return fit
    near = differences[half - reach : half + reach + 1, half - reach : half + reach + 1]
    row, column = np.unravel_index(int(near.argmin()), near.shape)
    place = (float(top + half - reach + row), float(left + half - reach + column))
    return Fit(float(near[row, column]), *place, fit.pose)


def _keep_inside(differences: NDArray[np.float32], half: float) -> None:
    """Rule out centres from which a mask would reach out of the image, unless it is as large as the image."""
    for axis, side in enumerate(differences.shape):
        margin = min(math.ceil(half), (side - 1) // 2)
        rows = np.moveaxis(differences, axis, 0)
        rows[:margin] = np.inf
        rows[side - margin :] = np.inf


def _keep_within(differences: NDArray[np.float32], window: tuple[slice, slice], *, scale: float) -> None:
    for axis, part in enumerate(window):
        rows = np.moveaxis(differences, axis, 0)
        rows[: math.floor(part.start * scale)] = np.inf
        rows[math.ceil(part.stop * scale) :] = np.inf


def _best(differences: NDArray[np.float32], *, apart: int) -> list[tuple[float, float, float]]:
    """Return rows, columns and differences of the best places, none of them near another."""
    best = []
    for _ in range(KEPT):
        row, column = np.unravel_index(int(differences.argmin()), differences.shape)
        least = float(differences[row, column])
        if not math.isfinite(least):
            break
        best.append((float(row), float(column), least))
        differences[max(row - apart, 0) : row + apart + 1, max(column - apart, 0) : column + apart + 1] = np.inf
    return best


def _differences(picture: Grey, around: Grey, pose: Pose) -> NDArray[np.float32] | None:
    """Return the root mean square difference for each place of the centre; None if no surroundings are known."""
    template, known = _laid(around, pose)
    if not known.any():
        return None
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    half = (len(template) - 1) // 2
    reach = max(half - rows[0], rows[-1] - half, half - columns[0], columns[-1] - half, 0)
    cut = slice(half - reach, half + reach + 1)
    template, looked_at = template[cut, cut], known[cut, cut].astype(np.float32)
    wide = cv2.copyMakeBorder(picture, reach, reach, reach, reach, cv2.BORDER_REPLICATE).astype(np.float32)
    squares = cv2.matchTemplate(wide, template * looked_at, cv2.TM_SQDIFF, mask=looked_at)
    return np.asarray(np.sqrt(np.maximum(squares / float(looked_at.sum()), 0.0)), np.float32)


def _laid(around: Grey, pose: Pose) -> tuple[NDArray[np.float32], Bools]:
    """Scale, turn and mirror a kept picture: an odd square of grey levels, and where they are known."""
    cell = SPAN * pose.length / SIDE
    side = 2 * math.ceil(SPAN * pose.length / 2) + 1
    source = around[:, ::-1] if pose.flip else around
    cosine, sine = math.cos(pose.turn) / cell, math.sin(pose.turn) / cell
    half, middle = (side - 1) / 2, (SIDE - 1) / 2
    matrix = np.array(
        [
            [cosine, sine, middle - half * (cosine + sine)],
            [-sine, cosine, middle - half * (cosine - sine)],
        ]
    )
    return _resampled(source, source > 0, matrix, side, cell=1.0 / cell)


def _resampled(
    values: Grey, known: Bools, matrix: NDArray[np.float64], side: int, *, cell: float
) -> tuple[NDArray[np.float32], Bools]:
    """Sample what is known of a picture on a grid whose cells are ``cell`` pixels wide; unknown is outside too."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = []
    for layer in (known.astype(np.float32), (values * known).astype(np.float32)):
        smooth = cv2.GaussianBlur(layer, (0, 0), 0.4 * cell) if cell > 1.0 else layer
        sampled.append(cv2.warpAffine(smooth, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT))
    share, total = sampled
    enough = np.asarray(share > 0.5)
    return np.where(enough, total / np.maximum(share, 1e-6), 0.0).astype(np.float32), enough
