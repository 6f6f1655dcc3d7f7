# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which object the masks of real defects are measured on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomalib_stage.training.data.regions.example import Example
from anomalib_stage.training.measure.mask_bank import build_mask_bank


def surface(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(95, 105, (120, 160, 3), dtype=np.uint8)


def plate(seed: int) -> np.ndarray:
    image = np.random.default_rng(seed).integers(205, 215, (120, 160, 3), dtype=np.uint8)
    return cv2.rectangle(image, (40, 30), (120, 90), (30, 60, 160), -1)


def with_defect(image: np.ndarray, box: tuple[int, int, int, int]) -> Example:
    top, left, bottom, right = box
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[top:bottom, left:right] = True
    image[mask] = 20
    return Example(image, mask, "rust")


@pytest.mark.parametrize("good", [0, 4])
def test_on_an_even_surface_the_defect_is_not_taken_for_the_object(good: int) -> None:
    [entry] = build_mask_bank({"rust": [with_defect(surface(0), (50, 60, 62, 84))]}, [surface(i) for i in range(good)])[
        "rust"
    ]
    assert entry.length == pytest.approx(24 / 120)
    assert not entry.on_edge
    assert 0.3 < entry.row < 0.6


@pytest.mark.parametrize("good", [0, 4])
def test_on_a_plate_the_place_is_that_on_the_plate(good: int) -> None:
    corner = with_defect(plate(0), (32, 42, 44, 60))
    [entry] = build_mask_bank({"rust": [corner]}, [plate(i) for i in range(good)])["rust"]
    assert entry.length == pytest.approx(18 / 61, rel=0.05)
    assert entry.row < 0.2
    assert entry.column < 0.2


def test_a_plate_that_is_rust_all_over_is_still_the_object_where_good_ones_are_known() -> None:
    [entry] = build_mask_bank({"rust": [with_defect(plate(0), (30, 40, 91, 121))]}, [plate(i) for i in range(3)])[
        "rust"
    ]
    assert entry.length == pytest.approx(81 / 61, rel=0.05)
    assert entry.on_edge


def test_many_masks_are_thinned_evenly() -> None:
    examples = [with_defect(surface(i), (20, 20, 21 + i % 40, 40)) for i in range(300)]
    bank = build_mask_bank({"rust": examples}, [surface(1)])["rust"]
    assert len(bank) == 256
    assert len({entry.cells.shape for entry in bank}) == 40
