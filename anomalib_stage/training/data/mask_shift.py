# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Masks that do not lie on what they mean: their outlines agree better with the picture some pixels away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["find_common_shift"]


@dataclass(frozen=True)
class ShiftSearch:
    """How a shift of all masks is looked for.

    Attributes:
        reach: Largest shift in pixels, on either axis.
        most: Most defects that are looked at; more cost time and tell nothing new.
        fewest: So many defects must agree; one alone proves nothing.
        nearest: Smallest shift in pixels that counts: outlines are drawn no better than that.
        better: By how much the agreement must be better there, in deviations over all shifts.
        sure: The same in standard errors of the mean.
    """

    reach: int = 10
    most: int = 64
    fewest: int = 5
    nearest: int = 3
    better: float = 0.7
    sure: float = 6.0


SEARCH = ShiftSearch()


def find_common_shift(examples: Sequence[Example]) -> tuple[int, int] | None:
    """Find the shift by which all masks would fit their pictures clearly better.

    The outline of each mask is correlated with the gradient of its picture over all shifts of up to ten pixels. One
    defect proves nothing: surfaces have edges of their own. A shift counts if it suits them all.

    Args:
        examples (Sequence[Example]): Whole images with one defect each.

    Returns:
        tuple[int, int] | None: Rows and columns by which the masks should be moved; None if they lie well, or if fewer
        than five can be judged.
    """
    if not examples:
        return None
    chosen = [examples[i * len(examples) // SEARCH.most] for i in range(SEARCH.most)]
    chosen = list(examples) if len(examples) <= SEARCH.most else chosen
    maps = [found for found in map(_measure_agreement, chosen) if found is not None]
    if len(maps) < SEARCH.fewest:
        return None
    stack = np.stack(maps)
    mean = stack.mean(axis=0)
    row, column = np.unravel_index(int(mean.argmax()), mean.shape)
    shift = int(row) - SEARCH.reach, int(column) - SEARCH.reach
    if not SEARCH.nearest <= max(map(abs, shift)) < SEARCH.reach:  # at the border of the search there is no optimum
        return None
    middle = mean[SEARCH.reach - 1 : SEARCH.reach + 2, SEARCH.reach - 1 : SEARCH.reach + 2]
    near = np.unravel_index(int(middle.argmax()), middle.shape)
    gain = stack[:, row, column] - stack[:, SEARCH.reach - 1 + near[0], SEARCH.reach - 1 + near[1]]
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain))
    return shift if gain.mean() >= SEARCH.better and gain.mean() >= SEARCH.sure * error else None


def _measure_agreement(example: Example) -> NDArray[np.float32] | None:
    """How well a mask's outline agrees with the gradient for each shift, mean 0 and deviation 1 over all shifts."""
    top, left, height, width = bounding_box(example.mask)
    pad = SEARCH.reach + 1
    mask = np.pad(example.mask.view(np.uint8), pad, mode="edge")
    # replicated, so that the border of the picture is no outline
    outline = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(np.float32)
    rows, columns = slice(top, top + height + 2 * pad), slice(left, left + width + 2 * pad)
    inner = slice(SEARCH.reach, -SEARCH.reach)
    grey = np.pad(cv2.cvtColor(example.image, cv2.COLOR_RGB2GRAY), pad, mode="edge")
    summed: NDArray[Any] = cv2.matchTemplate(
        _compute_gradient(grey[rows, columns]), outline[rows, columns][inner, inner], cv2.TM_CCORR
    )
    deviation = float(summed.std())
    if deviation <= 1e-6 * max(abs(float(summed.mean())), 1.0):
        return None
    return np.asarray((summed - summed.mean()) / deviation, dtype=np.float32)


def _compute_gradient(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Root of the gradient's length, so that one sharp edge does not outvote an outline."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    x, y = cv2.Scharr(smooth, cv2.CV_32F, 1, 0), cv2.Scharr(smooth, cv2.CV_32F, 0, 1)
    root = np.sqrt(np.hypot(x, y))
    return np.asarray(root - root.mean(), dtype=np.float32)
