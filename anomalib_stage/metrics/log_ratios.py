# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Binary logarithms of ratios that rounding to 8 bits does not upset, and pairs of neighbouring pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEWEST", "FLOOR", "compute_log2", "compute_log_ratio", "compute_rms", "pair_neighbours"]


FLOOR = 0.25
"""Grey levels added to both sides of a ratio: rounding to 8 bits alone makes about as much."""

FEWEST = 16
"""Fewest pixels, or pairs of pixels, that a statistic is measured on."""


def pair_neighbours(plane: NDArray[Any], axis: int, lag: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """Views of the first and of the second pixels of all pairs along an axis."""
    return (plane[:-lag], plane[lag:]) if axis == 0 else (plane[:, :-lag], plane[:, lag:])


def compute_rms(values: NDArray[np.float32]) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(values).mean()))


def compute_log_ratio(one: float, other: float) -> float:
    """Return the binary logarithm of a ratio, both sides raised by :data:`FLOOR`."""
    return compute_log2((one + FLOOR) / (other + FLOOR))


def compute_log2(value: float) -> float:
    """Return the binary logarithm; a warning of numpy and infinite for 0."""
    return float(np.log2(value))
