# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The defects that can be rendered: one painter each, and the shapes of mask that it occurs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.rendering.defect_types.contamination import paint_contamination
from anomalib_stage.rendering.defect_types.damage import paint_chip, paint_crack, paint_dent, paint_hole, paint_scratch
from anomalib_stage.rendering.defect_types.stains import paint_discoloration, paint_stain

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.defect_types.paint import Paint
    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["DEFECT_NAMES", "DEFECT_SHAPES", "PAINTERS"]


PAINTERS: dict[str, Callable[[Site], Paint]] = {
    "scratch": paint_scratch,
    "crack": paint_crack,
    "hole": paint_hole,
    "stain": paint_stain,
    "chip": paint_chip,
    "contamination": paint_contamination,
    "dent": paint_dent,
    "discoloration": paint_discoloration,
}
"""Painters: functions from a site to a painted cut-out."""

DEFECT_SHAPES: dict[str, tuple[str, ...]] = {
    "scratch": ("scratch",),
    "crack": ("crack",),
    "hole": ("blob", "spots"),
    "stain": ("perlin", "blob"),
    "chip": ("edge_chip", "blob"),
    "contamination": ("blob", "spots", "scratch"),
    "dent": ("blob", "scratch"),
    "discoloration": ("perlin", "blob"),
    "good": ("scratch", "crack", "blob", "spots", "perlin", "edge_chip"),
}
"""Shapes of :data:`anomalib_stage.synthesis.masks.shapes.families.SHAPES` that each defect occurs in."""

DEFECT_NAMES: tuple[str, ...] = tuple(DEFECT_SHAPES)
"""Defects; ``good`` is the surface itself."""
