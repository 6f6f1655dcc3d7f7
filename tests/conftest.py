# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: a small bundle of the real kind, and real data where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: threads of several processes slow each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.synthesis.diffusion.compact.denoiser_config import COMPACT_CONFIG
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.manifest import DefectSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TINY_DEFECTS = {"scratch": ("scratch",), "hole": ("blob", "spots"), "stain": ("perlin", "edge_chip"), "good": ("blob",)}
TINY_CONFIG = {**COMPACT_CONFIG, "block_out_channels": [16, 24], "norm_num_groups": 4}
TINY_LOOKS = [[0.0, 0.0, 0.0, 6.0, -2.0, -0.8, -0.8, -0.8, 0.1], [0.0, 0.0, 0.0, 6.0, -2.0, 0.7, 0.6, 0.5, 0.2]]


def make_tiny_bundle(more: Mapping[str, torch.Tensor] | None = None) -> StageBundle:
    """Build a bundle with the real classes and small random weights, and more tensors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CompactDenoiser(list(TINY_DEFECTS), config=TINY_CONFIG)
    state = network.state_dict()
    tensors = {f"denoiser.{name.removeprefix('unet.')}": v for name, v in state.items() if name.startswith("unet.")}
    tensors |= {f"condition.{defect}": vector for defect, vector in network.conditions.items()}
    tensors |= {f"look.{defect}": torch.tensor(TINY_LOOKS) for defect in TINY_DEFECTS}
    return StageBundle.build(
        {**tensors, **(more or {})},
        defects=[DefectSpec(name=defect, shapes=shapes) for defect, shapes in TINY_DEFECTS.items()],
        backbone="compact",
        denoiser=TINY_CONFIG,
        codec={"name": "pixel", "factor": 2},
        schedule=dict(COMPACT_SCHEDULE),
    )


@pytest.fixture(scope="session")
def tiny_bundle() -> StageBundle:
    return make_tiny_bundle()


@pytest.fixture(scope="session")
def tiny_bundle_path(tiny_bundle: StageBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.save(tmp_path_factory.mktemp("bundle") / "tiny.safetensors")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real defect sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ANOMALIB_STAGE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data at hand (set ANOMALIB_STAGE_DATA)")
    return folder


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write six good pictures of 96 px, and for tests two good and two defective ones with masks."""
    root, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for folder, count in (("good", 6), ("spare", 2), ("bad", 2), ("mask", 2)):
        (root / folder).mkdir()
        for i in range(count):
            picture = cv2.GaussianBlur(rng.integers(40, 220, (96, 96, 3), dtype=np.uint8), (7, 7), 0)
            mask = np.zeros((96, 96, 3), np.uint8)
            mask[20:40, 20:40] = 255
            cv2.imwrite(str(root / folder / f"{i:03d}.png"), mask if folder == "mask" else picture)
    return root


@pytest.fixture(scope="session")
def bank(parts: Path, tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pregenerate twelve pairs, two in each good picture."""
    from anomalib_stage.pregeneration.run import pregenerate

    out = tmp_path_factory.mktemp("bank") / "pairs"
    pregenerate(
        data=parts / "good",
        out=out,
        count=12,
        weights=str(tiny_bundle_path),
        sampling_steps=4,
        min_visibility=0.0,
        seed=3,
    )
    return out


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
            "sampling_steps": 4,
            "batch_size": 2,
            "device": "cpu",
            "min_visibility": 0.0,  # the small network has not learned anything
        }
        from anomalib_stage.pregeneration.run import pregenerate

        return pregenerate(**arguments | changed)

    return call


def tree(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
