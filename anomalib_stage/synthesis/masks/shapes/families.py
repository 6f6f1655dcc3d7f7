# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The six families of defect shapes, drawn as stamps of their own size.

``scratch`` (tapered strokes), ``crack`` (branching jagged lines), ``blob`` (smooth closed outlines), ``spots`` (groups
of dots), ``perlin`` (thresholded smooth noise) and ``edge_chip`` (a bite out of the object's edge).

Each family is a function ``(extent, *, rng, angle) -> Stamp``: the longest side in pixels, a random stream, and a
direction in radians. :mod:`anomalib_stage.synthesis.masks.draw` puts stamps into images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.synthesis.masks.shapes.bodies import draw_blob, draw_edge_chip, draw_perlin, draw_spots
from anomalib_stage.synthesis.masks.shapes.lines import draw_crack, draw_scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.synthesis.masks.shapes.canvas import Stamp

__all__ = ["SHAPES"]

SHAPES: dict[str, Callable[..., Stamp]] = {
    "scratch": draw_scratch,
    "crack": draw_crack,
    "blob": draw_blob,
    "spots": draw_spots,
    "perlin": draw_perlin,
    "edge_chip": draw_edge_chip,
}
