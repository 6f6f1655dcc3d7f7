# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples with rendered defects: on rendered surfaces, or on the user's own good images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES, DEFECT_SHAPES
from anomalib_stage.rendering.defects import paint_defect
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.training.data.regions.example import Example, extend_to_side

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

__all__ = ["ProceduralDefects", "draw_rendered_mask"]

GOOD_SHARE = 0.2
"""Share of rendered examples that teach ``good``, intact surface: negatives must carry the same trace as defects."""

MARGIN = 16
"""A picture is this much larger than the region on each side: lighting, blur and borders do not end with the region."""


class ProceduralDefects:
    """Rendered defects, every defect equally often, and intact surface.

    Args:
        images (Sequence[NDArray[np.uint8]]): Good images to paint into, ``(H, W, 3)`` RGB; rendered surfaces if empty.
        without (Collection[str]): Defects that are not rendered, because there are real ones of that name.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]] = (), *, without: Collection[str] = ()) -> None:
        self.defects = tuple(defect for defect in DEFECT_NAMES if defect != "good" and defect not in without)
        self.images = list(images)

    def draw(self, side: int, *, rng: np.random.Generator) -> Example:
        """Draw one example with the given region side in pixels."""
        defect = "good" if rng.random() < GOOD_SHARE or not self.defects else str(rng.choice(self.defects))
        canvas, inner = side + 2 * MARGIN, slice(MARGIN, MARGIN + side)
        surface = self._draw_surface(canvas, rng=rng)
        mask = np.zeros((canvas, canvas), dtype=np.bool_)
        mask[inner, inner] = draw_rendered_mask(defect, side, rng=rng)
        image = paint_defect(surface, mask, defect=defect, rng=rng)[inner, inner]
        return Example((image * 255.0 + 0.5).astype(np.uint8), mask[inner, inner], defect)

    def _draw_surface(self, side: int, *, rng: np.random.Generator) -> NDArray[np.float32]:
        if not self.images:
            return render_surface((side, side), rng=rng)
        image = extend_to_side(self.images[int(rng.integers(len(self.images)))], side)
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
        return image[top : top + side, left : left + side].astype(np.float32) / np.float32(255.0)


def draw_rendered_mask(defect: str, side: int, *, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a mask ``(side, side)`` of a rendered defect; sizes are spread evenly on a logarithmic scale."""
    shape = str(rng.choice(DEFECT_SHAPES[defect]))
    smallest = 3.0 if rng.random() < 0.6 else 12.0
    extent = float(np.exp(rng.uniform(np.log(smallest), np.log(0.85 * side))))
    # keep the defect off the region's border: at sampling time a region always has a margin
    border = min(int(max((side - extent) / 2, 0)), 6)
    canvas = np.zeros((side, side), dtype=np.bool_)
    inner = side - 2 * border
    edge = shape == "edge_chip"
    canvas[border : side - border, border : side - border] = (
        draw_mask(shape, (inner, inner), extent=extent, rng=rng)
        if not edge
        else _draw_edge_mask(inner, extent, rng=rng)
    )
    return canvas


def _draw_edge_mask(side: int, extent: float, *, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw an edge chip that stands anywhere in the region, not only at its border."""
    allowed = np.zeros((side, side), dtype=np.bool_)
    cut = int(rng.integers(side // 4, side))
    allowed[:cut] = True
    turn = np.rot90(allowed, int(rng.integers(4)))
    return draw_mask("edge_chip", (side, side), extent=min(extent, cut), rng=rng, allowed=np.ascontiguousarray(turn))
