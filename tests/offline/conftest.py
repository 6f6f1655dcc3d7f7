# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Small folders of good images for the offline commands, and a small job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from anomalib_stage.images import encode_png, write_file
from anomalib_stage.offline.pregenerate import pregenerate

if TYPE_CHECKING:
    from collections.abc import Callable
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


@pytest.fixture
def run(good_folder: Path, tiny_bundle_path: Path) -> Callable[..., dict[str, Any]]:
    """``pregenerate`` with a small bundle and few steps."""

    def call(**changed: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "data": good_folder,
            "out": good_folder.parent / "out",
            "count": 7,
            "weights": str(tiny_bundle_path),
            "steps": 4,
            "batch_size": 2,
            "device": "cpu",
            "min_visibility": 0.0,  # the small network has not learned anything
        }
        return pregenerate(**arguments | changed)

    return call


def tree(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
