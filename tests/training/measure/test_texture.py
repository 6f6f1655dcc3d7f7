# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A stain is the surface in another tone; rust is another material."""

from __future__ import annotations

import numpy as np
import pytest

from anomalib_stage.metrics.crops import Crop, cut_crops
from anomalib_stage.training.measure.texture import measure_texture_continuity

SIDE = 112


def _defects(count: int, *, change: float, contrast: float, radius: int = 26) -> list[Crop]:
    """Discs whose texture is that of the surface times a contrast, around another mean."""
    found = []
    for i in range(count):
        rng = np.random.default_rng(i)
        texture = 8.0 * rng.standard_normal((SIDE, SIDE, 1))
        rows, cols = np.mgrid[:SIDE, :SIDE]
        mask = (rows - 56) ** 2 + (cols - 50) ** 2 < radius**2
        image = 130.0 + np.where(mask[..., None], change + contrast * texture, texture)
        pixels = np.clip(image, 0, 255).round().astype(np.uint8).repeat(3, axis=2)
        found += cut_crops(pixels, mask, defect="x", source=i)
    return found


@pytest.mark.parametrize(("contrast", "expected"), [(1.0, 1.0), (1.15, 1.0), (3.0, 0.0), (0.4, 0.0)])
def test_texture_of_another_strength_does_not_go_on(contrast: float, expected: float):
    assert measure_texture_continuity(_defects(5, change=-40.0, contrast=contrast)) == expected


def test_in_between_and_with_too_few():
    half = measure_texture_continuity(_defects(5, change=30.0, contrast=1.42))
    assert half is not None
    assert 0.1 < half < 0.9
    assert measure_texture_continuity(_defects(2, change=-40.0, contrast=1.0)) is None
    assert measure_texture_continuity(_defects(5, change=-40.0, contrast=1.0, radius=6)) is None
