# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether pictures may be turned by quarters: not where the surface or the defects have a direction of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.mask_measures import measure_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["find_directed_defects", "has_direction"]


@dataclass(frozen=True)
class DirectionCriteria:
    """From when on a surface or a defect has a direction of its own.

    Attributes:
        images: Good images that say whether the surface has one.
        surface: Common direction of the gradients, 0 none to 1 all alike, above which a surface has one.
        elongation: Elongation from which on a mask has one.
        masks: So many masks of a defect must have one; fewer may agree by chance.
        agreement: By so much the doubled angles of these masks must agree.
    """

    images: int = 15
    surface: float = 0.35
    elongation: float = 0.6
    masks: int = 8
    agreement: float = 0.85


CRITERIA = DirectionCriteria()


def has_direction(images: Sequence[NDArray[np.uint8]]) -> bool:
    """Tell whether good images are grained, brushed or striped in one direction, the same in all.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB; False if there are none.
    """
    if not images:
        return False
    total, along = 0.0, np.zeros(2)
    for i in range(CRITERIA.images):
        grey = cv2.cvtColor(images[i * len(images) // CRITERIA.images], cv2.COLOR_RGB2GRAY).astype(np.float32)
        x, y = cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)
        # a few sharp outlines must not outvote the surface
        length = np.hypot(x, y)
        limit = max(float(np.quantile(length, 0.9)), 1e-6)
        weight = np.minimum(length, limit) ** 2 / np.maximum(length, 1e-6) ** 2
        total += float((weight * length**2).sum())
        along += [float((weight * (x * x - y * y)).sum()), float((2 * weight * x * y).sum())]
    return math.hypot(*along) > CRITERIA.surface * total


def find_directed_defects(group_by_defect: Mapping[str, Iterable[Example]]) -> set[str]:
    """Return the defects whose long masks lie in one direction, at least eight of them.

    Args:
        group_by_defect (Mapping[str, Iterable[Example]]): Examples with one defect each.
    """
    return {defect for defect, examples in group_by_defect.items() if _agree([example.mask for example in examples])}


def _agree(masks: Sequence[NDArray[np.bool_]]) -> bool:
    measured = [measure_mask(mask, np.ones_like(mask)) for mask in masks]
    angles = np.array([entry.direction for entry in measured if entry.elongation >= CRITERIA.elongation])
    return len(angles) >= CRITERIA.masks and abs(np.exp(2j * angles).mean()) >= CRITERIA.agreement
