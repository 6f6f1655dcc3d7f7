# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a real mask would fit: places that look like what surrounded it.

A bundle keeps a template of each real mask (:mod:`~anomalib_stage.synthesis.masks.templates.template`), and masks are
drawn where the image looks like that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.templates.difference_map import compute_differences
from anomalib_stage.synthesis.masks.templates.template import SPAN, Pose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Grey = NDArray[np.uint8]

__all__ = ["Match", "find_matches", "refine_match"]

SEARCHED = 192
"""Images whose shorter side has more pixels are searched reduced to it."""

KEPT = 3
"""Best places kept for each pose."""

ALIKE = 2.0
"""Grey levels by which places may differ and are still taken by chance: where all is alike, they are anywhere."""


class Match(NamedTuple):
    """A place for a mask: root mean square difference from its template in grey levels, its centre, and the pose."""

    difference: float
    row: float
    column: float
    pose: Pose


def find_matches(
    picture: Grey,
    template: Grey,
    poses: Sequence[Pose],
    *,
    rng: np.random.Generator,
    window: tuple[slice, slice] | None = None,
) -> list[Match]:
    """Find the places of an image that match a mask's template best.

    Args:
        picture (NDArray[np.uint8]): The image in grey, ``(H, W)``, see :func:`to_grey`.
        template (NDArray[np.uint8]): What surrounded the mask, ``(48, 48)``.
        poses (Sequence[Pose]): How the mask may lie.
        rng (np.random.Generator): Decides between places that are alike.
        window (tuple[slice, slice] | None): Rows and columns in which its centre must lie; None: anywhere.

    Returns:
        list[Match]: Up to three places for each pose, best ones first. Empty if nothing of the template is known.
    """
    scale = min(1.0, SEARCHED / min(picture.shape))
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    small = picture if scale == 1.0 else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    found: list[Match] = []
    for pose in poses:
        differences = compute_differences(small, template, pose._replace(length=pose.length * scale))
        if differences is None:
            return []
        differences += ALIKE * rng.random(differences.shape, dtype=np.float32)
        _rule_out_border(differences, pose.length * scale / 2)
        if window is not None:
            _rule_out_outside(differences, window, scale=scale)
        for row, column, difference in _pick_best(differences, apart=max(round(pose.length * scale / 2), 1)):
            found.append(Match(difference, (row + 0.5) / scale - 0.5, (column + 0.5) / scale - 0.5, pose))
    return sorted(found)


def refine_match(match: Match, picture: Grey, template: Grey) -> Match:
    """Look again for the best place near one, with every pixel of the image.

    Args:
        match (Match): A place that :func:`find_matches` found; it may be a few pixels off, where it searched a reduced
            image.
        picture (NDArray[np.uint8]): As there.
        template (NDArray[np.uint8]): As there.

    Returns:
        Match: The best place within the pixels that one of the reduced image covers.
    """
    reach = math.ceil(min(picture.shape) / SEARCHED)
    if reach <= 1:
        return match
    half = math.ceil(SPAN * match.pose.length / 2) + reach + 1
    top, left = round(match.row) - half, round(match.column) - half
    rows = np.arange(top, top + 2 * half + 1).clip(0, picture.shape[0] - 1)
    columns = np.arange(left, left + 2 * half + 1).clip(0, picture.shape[1] - 1)
    differences = compute_differences(picture[np.ix_(rows, columns)], template, match.pose)
    if differences is None:
        return match
    near = differences[half - reach : half + reach + 1, half - reach : half + reach + 1]
    row, column = np.unravel_index(int(near.argmin()), near.shape)
    centre = (float(top + half - reach + row), float(left + half - reach + column))
    return Match(float(near[row, column]), *centre, match.pose)


def _rule_out_border(differences: NDArray[np.float32], half: float) -> None:
    """Rule out centres from which a mask would reach out of the image, unless it is as large as the image."""
    for axis, side in enumerate(differences.shape):
        margin = min(math.ceil(half), (side - 1) // 2)
        rows = np.moveaxis(differences, axis, 0)
        rows[:margin] = np.inf
        rows[side - margin :] = np.inf


def _rule_out_outside(differences: NDArray[np.float32], window: tuple[slice, slice], *, scale: float) -> None:
    """Rule out centres outside rows and columns of the image that was reduced by ``scale``."""
    for axis, part in enumerate(window):
        rows = np.moveaxis(differences, axis, 0)
        rows[: math.floor(part.start * scale)] = np.inf
        rows[math.ceil(part.stop * scale) :] = np.inf


def _pick_best(differences: NDArray[np.float32], *, apart: int) -> list[tuple[float, float, float]]:
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
