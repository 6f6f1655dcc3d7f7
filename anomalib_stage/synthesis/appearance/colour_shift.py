# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Anomalies of another material than the surface, and so of any colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.synthesis.appearance.appearance import COLOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ANY_COLOUR", "draw_colour_shift"]

ANY_COLOUR = frozenset({"chip", "contamination", "discoloration", "scratch", "stain"})
"""Defects of the default bundle whose anomalies may be of another material than the surface, and so of any colour."""

BRIGHTNESS, MOST_SATURATED, GREY = (0.1, 0.95), 0.8, 1e-4
"""Range of the brightness of such a colour, its highest saturation, and the spread below which a level is grey."""


def draw_colour_shift(context: NDArray[Any], *, rng: np.random.Generator) -> NDArray[np.float32] | None:
    """Draw the colour shift to another material: rust on blue paint, bare metal, something that fell on it.

    Appearances are measured on surfaces of many colours and keep near them; what is of another material need not.

    Args:
        context (NDArray[Any]): Where it will lie, ``(5,)``, see :func:`compute_context`.
        rng (np.random.Generator): Stream that every draw comes from.

    Returns:
        NDArray[np.float32] | None: ``(3,)``, what takes the surface's level to a colour of any hue; None if the surface
        is grey in all channels, where a camera without colours is likely.
    """
    level = context[:COLOURS]
    hue, brightness = rng.uniform(0.0, 6.0), rng.uniform(*BRIGHTNESS)
    saturation = MOST_SATURATED * rng.uniform() ** 2  # most things are rather grey
    if np.ptp(level) < GREY:
        return None
    away = np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6.0 - 3.0)  # of red, green and blue on the circle of hues
    colour = brightness * (1.0 - saturation * (1.0 - np.clip(away - 1.0, 0.0, 1.0)))
    return np.asarray(2.0 * colour - 1.0 - level, dtype=np.float32)
