# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How a real mask lies on an object: its size and its turn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.synthesis.masks.bank_mask import BankMask

__all__ = ["draw_length", "draw_turn", "has_direction"]

SIZES = 0.22
"""Logarithm of the most that a mask is enlarged or reduced by, beside the object's size."""

MIN_CONCENTRATION = 0.75
"""Mean resultant length of the directions above which a defect has a direction of its own."""


def draw_length(entry: BankMask, box: tuple[int, int, int, int], *, rng: np.random.Generator) -> float:
    """Draw a mask's longer side in pixels, for an object of this bounding box."""
    length = entry.length * min(box[2], box[3]) * math.exp(rng.uniform(-SIZES, SIZES))
    return min(max(length, 1.0), float(max(box[2], box[3])))


def draw_turn(masks: Sequence[BankMask], *, rng: np.random.Generator) -> float:
    """Draw by how much the mask is turned, in radians: hardly, where the defect has a direction of its own."""
    if has_direction(masks):
        return 0.08 * float(rng.standard_normal()) + math.pi * int(rng.integers(2))
    return float(rng.uniform(0.0, 2.0 * math.pi))


def has_direction(masks: Sequence[BankMask]) -> bool:
    """Say whether the masks of a defect have a direction of their own."""
    weights = np.array([mask.elongation for mask in masks])
    doubled = np.exp(2j * np.array([mask.direction for mask in masks]))
    concentration = abs((weights * doubled).sum()) / max(float(weights.sum()), 1e-9)
    return len(masks) > 2 and weights.mean() > 0.3 and bool(concentration > MIN_CONCENTRATION)
