# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of the first painted batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.files.figures import ANOMALY_COLOUR, GAP, GOOD_COLOUR, HEADER
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.callback.preview import draw_batch, write_preview
from tests.plugin.conftest import good_images, make_pair

if TYPE_CHECKING:
    from pathlib import Path


def _pair(clean: torch.Tensor) -> Pair:
    """Leave sample 0 alone, re-paint good surface in 1, paint an anomaly into 2."""
    painted = torch.zeros(len(clean), 1, *clean.shape[2:], dtype=torch.bool)
    painted[1, 0, 10:20, 10:20] = True
    painted[2, 0, 10:20, 10:20] = True
    mask = painted.clone()
    mask[1] = False
    return make_pair(torch.where(painted, 1.0, clean), mask, painted)


def _cells(grid: np.ndarray, row: int) -> list[np.ndarray]:
    height, width = 192 + GAP, 192 + GAP
    top = HEADER + row * height
    return [grid[top : top + 192, i * width : i * width + 192] for i in range(4)]


def test_anomalies_come_first_then_negatives_then_the_rest() -> None:
    clean = good_images(3, (64, 64))
    grid = draw_batch(clean, _pair(clean))
    colours = [{tuple(p) for p in _cells(grid, row)[1].reshape(-1, 3).tolist()} for row in range(3)]
    assert [ANOMALY_COLOUR in c for c in colours] == [True, False, False]
    assert [GOOD_COLOUR in c for c in colours] == [False, True, False]


def test_cells_show_clean_synthetic_and_difference() -> None:
    clean = good_images(3, (64, 64))
    before, outlined, after, difference = _cells(draw_batch(clean, _pair(clean)), 0)
    inside, outside = (slice(30, 60), slice(30, 60)), (slice(90, 192), slice(90, 192))
    assert (after[inside] == 255).all()
    assert np.array_equal(before[outside], after[outside])
    assert not difference[outside].any()
    assert np.array_equal(difference[inside], np.clip((255 - before[inside].astype(int)) * 4, 0, 255))
    assert np.array_equal(outlined[inside], before[inside])  # the outline lies around the mask


def test_at_most_four_rows_are_drawn() -> None:
    clean = good_images(6, (200, 250))
    blank = torch.zeros(6, 1, 200, 250, dtype=torch.bool)
    assert draw_batch(clean, make_pair(clean, blank)).shape == (HEADER + 4 * (200 + GAP), 4 * (250 + GAP), 3)


def test_the_file_is_a_png_of_the_grid(tmp_path: Path) -> None:
    clean = good_images(3, (64, 64))
    write_preview(tmp_path / "new" / "grid.png", clean, pair=_pair(clean))
    read = cv2.cvtColor(cv2.imread(str(tmp_path / "new" / "grid.png")), cv2.COLOR_BGR2RGB)
    assert np.array_equal(read, draw_batch(clean, _pair(clean)))


def test_an_unwritable_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    clean = good_images(3, (64, 64))
    with pytest.raises(OSError, match="file"):
        write_preview(tmp_path / "file" / "grid.png", clean, pair=_pair(clean))
