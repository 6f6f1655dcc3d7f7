# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from anomalib_stage.errors import BundleError, DataError, InputError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.figures import ANOMALY_COLOUR, GAP, GOOD_COLOUR, HEADER
from anomalib_stage.files.images import read_image
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.preview.grid import CELL, TITLES, draw_grid
from anomalib_stage.preview.preview import preview
from anomalib_stage.preview.rows import paint_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(good_folder: Path, tiny_bundle_path: Path, tmp_path: Path) -> Callable[..., Path]:
    def call(**changed: Any) -> Path:
        arguments: dict[str, Any] = {
            "data": good_folder,
            "out": tmp_path / "grid.png",
            "weights": str(tiny_bundle_path),
            "count": 3,
            "sampling_steps": 4,
            "device": "cpu",
        }
        return preview(**arguments | changed)

    return call


def cell(grid: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = HEADER + row * (CELL + GAP), column * (CELL + GAP)
    return grid[top : top + CELL, left : left + CELL]


def shape_of(rows: int) -> tuple[int, int, int]:
    return HEADER + rows * (CELL + GAP), len(TITLES) * (CELL + GAP), 3


def test_grid_has_a_row_for_each_image_and_a_titled_column_for_each_view(run: Any) -> None:
    grid = read_image(run())
    assert grid.shape == shape_of(3)
    for column in range(len(TITLES)):
        left = column * (CELL + GAP)
        assert (grid[:HEADER, left : left + CELL] > 128).any()


def test_cells_show_clean_synthetic_and_their_difference(run: Any, good_folder: Path) -> None:
    grid = read_image(run(count=1))
    clean = read_image(good_folder / "a.png")
    scale = CELL // 64
    shown = cell(grid, 0, 0)[: 48 * scale : scale, : 64 * scale : scale]
    assert np.array_equal(shown, clean)
    before, after, difference = (cell(grid, 0, column).astype(int) for column in (0, 2, 3))
    assert np.array_equal(difference, np.minimum(np.abs(after - before) * 4, 255))
    assert difference.any()


def test_outline_is_red_for_a_defect_and_blue_for_good(run: Any) -> None:
    grid = read_image(run(defects=["hole", "good"], count=2))
    for row, colour in enumerate((ANOMALY_COLOUR, GOOD_COLOUR)):
        assert (cell(grid, row, 1) == colour).all(axis=2).any()
        assert not (cell(grid, row, 0) == colour).all(axis=2).any()


def test_two_runs_are_equal_byte_for_byte(run: Any, tmp_path: Path) -> None:
    assert run().read_bytes() == run(out=tmp_path / "again.png").read_bytes()
    assert run(seed=1).read_bytes() != (tmp_path / "again.png").read_bytes()


def test_rows_are_spread_over_the_folder_and_repeat_it_when_it_is_short(run: Any, good_folder: Path) -> None:
    few, many = read_image(run(count=2)), read_image(run(count=6))
    assert not np.array_equal(cell(few, 0, 0), cell(few, 1, 0))
    assert np.array_equal(cell(many, 0, 0), cell(many, 1, 0))


def test_images_are_resized_on_request(run: Any) -> None:
    grid = read_image(run(size=32, count=1))
    shown = cell(grid, 0, 0)
    assert shown[-1].any()  # 32 px enlarged by 8 fill the cell; 64x48 px enlarged by 4 do not
    assert shown[:, -1].any()


def test_large_images_are_shown_whole(tiny_bundle_path: Path) -> None:
    synthesizer = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu")
    ramp = np.linspace(0, 255, 700 * 300 * 3).astype(np.uint8).reshape(300, 700, 3)
    grid = draw_grid(paint_rows(synthesizer, [ramp], defects=["stain"], seeds=[3]))
    assert grid.dtype == np.uint8
    assert grid.shape == shape_of(1)
    assert cell(grid, 0, 0)[:108].mean() == pytest.approx(ramp.mean(), abs=4)


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"count": 0}, InputError, "--count is 0"),
        ({"size": 31}, InputError, "--size 31.*at least 32 px"),
        ({"sampling_steps": 2}, InputError, "steps"),
        ({"defects": ["rust"]}, InputError, "'rust'"),
        ({"weights": "nope.safetensors"}, BundleError, "nope.safetensors: no such file"),
    ],
)
def test_bad_arguments_are_one_sentence_and_nothing_is_written(
    run: Any, tmp_path: Path, changed: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        run(**changed)
    assert re.search(sentence, str(raised.value))
    assert not (tmp_path / "grid.png").exists()


def test_only_png_is_written(run: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="grid.jpg must be a .png file"):
        run(out=tmp_path / "grid.jpg")


def test_unreadable_and_small_images_are_named(run: Any, good_folder: Path) -> None:
    write_file(good_folder / "b.png", encode_png(np.zeros((20, 90, 3), np.uint8)))
    with pytest.raises(DataError, match="b.png: 90x20 px"):
        run()
    (good_folder / "b.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="b.png: not a readable image"):
        run()
