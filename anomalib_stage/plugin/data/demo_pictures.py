# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered pictures of the demo data set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.files.atomic import replace_whole
from anomalib_stage.rendering.defect_types.painters import DEFECT_SHAPES
from anomalib_stage.rendering.defects import paint_defect
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.synthesis.masks.extent import draw_extent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.plugin.data.demo_plan import DemoPlan

__all__ = ["write_pictures"]


def write_pictures(plan: DemoPlan, folder: Path) -> None:
    """Render into a folder beside, then rename: another process sees all pictures or none."""
    try:
        with replace_whole(folder) as scratch:
            for name, picture in _render_pictures(plan):
                path = scratch / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError:
        if not folder.is_dir():  # otherwise another process was first, with the same pictures
            raise


def _render_pictures(plan: DemoPlan) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield names and pictures as OpenCV writes them: BGR, or one channel for masks."""
    tiles = _cut_tiles(plan)
    for index in range(plan.train_count):
        yield f"train/good/{index:03d}.png", _to_bgr(next(tiles))
    for index, defect in enumerate(plan.test_defects):
        tile = next(tiles)
        if defect != "good":
            tile, mask = _add_defect(tile, defect, rng=numpy_generator(plan.seed, "demo defect", plan.family, index))
            yield f"ground_truth/{defect}/{index:03d}_mask.png", mask.astype(np.uint8) * 255
        yield f"test/{defect}/{index:03d}.png", _to_bgr(tile)


def _cut_tiles(plan: DemoPlan) -> Iterator[NDArray[np.float32]]:
    """Cut one rendered surface into tiles, in random order: ``(image_size, image_size, 3)`` each, in [0, 1]."""
    rng = numpy_generator(plan.seed, "demo surface", plan.family)
    columns = math.ceil(math.sqrt(plan.count))
    rows, side = math.ceil(plan.count / columns), plan.image_size
    surface = render_surface((rows * side, columns * side), rng=rng, family=plan.family)
    for place in rng.permutation(rows * columns):
        top, left = (int(step) * side for step in divmod(place, columns))
        yield surface[top : top + side, left : left + side]


def _add_defect(
    tile: NDArray[np.float32], defect: str, *, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Paint a drawn defect into a tile; returns the tile and its mask."""
    size = (tile.shape[0], tile.shape[1])
    extent = draw_extent(size, low=0.15, high=0.4, minimum=8, rng=rng)
    mask = draw_mask(str(rng.choice(DEFECT_SHAPES[defect])), size, extent=extent, rng=rng)
    return paint_defect(np.ascontiguousarray(tile), mask, defect=defect, rng=rng), mask


def _to_bgr(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray((picture[..., ::-1] * 255).round(), dtype=np.uint8)
