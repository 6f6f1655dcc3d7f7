# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Small folders of good images for the offline commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from anomalib_stage.images import encode_png, write_file

if TYPE_CHECKING:
    from pathlib import Path


def grain(height: int, width: int, *, seed: int) -> np.ndarray:
    """8-bit RGB picture of every grey level."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def good_folder(tmp_path: Path) -> Path:
    """Three images of two sizes, one of them in a sub-folder."""
    folder = tmp_path / "good"
    for seed, (name, height, width) in enumerate([("a.png", 48, 64), ("b.png", 48, 64), ("more/c.png", 56, 40)]):
        write_file(folder / name, encode_png(grain(height, width, seed=seed)))
    return folder
