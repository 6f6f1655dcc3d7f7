# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at any moment of a fit, of writing a checkpoint too: it goes on to the bundle of an uninterrupted one.

The short version runs with the suite. The long one::

    ANOMALIB_STAGE_FIT_KILLS=50 pytest -n 0 -m slow -s --timeout 7200 tests/training/test_kills.py
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from anomalib_stage.weights.bundle import StageBundle
from tests.pregeneration.killing import forkserver
from tests.training.kills import storm, work

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

KILLS = int(os.environ.get("ANOMALIB_STAGE_FIT_KILLS", "0"))

MEMORY = Path("/dev/shm")
"""Another file system than that of temporary files, on most machines."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGKILL and forks")


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    found = forkserver()
    found.set_forkserver_preload(["tests.pregeneration.killing", "tests.training.kills"])
    return found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than that of temporary files, if there is one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def options(tmp_path: Path, tiny_bundle_path: Path, elsewhere: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    for i in range(3):
        image, mask = rng.integers(90, 110, (64, 64, 3), dtype=np.uint8), np.zeros((64, 64), np.uint8)
        mask[20 + 4 * i : 34 + 4 * i, 20:40] = 255
        image[mask > 0] = 20
        for folder, picture in (("defects", image), ("masks", mask)):
            (tmp_path / folder / "double").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / "double" / f"{i}.png"), picture)
    return {
        "out": tmp_path / "out" / "fitted.safetensors",
        "workdir": elsewhere / "fit",
        "defect_dir": tmp_path / "defects",
        "defect_mask_dir": tmp_path / "masks",
        "base": str(tiny_bundle_path),
        "max_steps": 7,
        "batch_size": 2,
        "check_steps": 3,
        "device": "cpu",
    }


def uninterrupted(context: ForkServerContext, options: dict[str, Any]) -> tuple[str, float]:
    """Digest of the bundle, and the seconds that it took."""
    alone = options | {"out": options["out"].with_name("whole.safetensors"), "workdir": options["workdir"] / "whole"}
    began = time.monotonic()
    worker = context.Process(target=work, args=(alone, None, 0))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    took = time.monotonic() - began
    alone["workdir"].rename(options["workdir"].with_name("whole"))
    options["workdir"].rmdir()
    return StageBundle.load(alone["out"]).digest, took


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_bundle_of_an_uninterrupted_one(
    context: ForkServerContext, options: dict[str, Any]
) -> None:
    digest, took = uninterrupted(context, options)
    told = storm(context, options, kills=3, longest=took, seed=2)
    assert told.kills == 3
    assert set(told.digests) == {digest}
    assert told.litter == []


@pytest.mark.slow
@pytest.mark.skipif(not KILLS, reason="set ANOMALIB_STAGE_FIT_KILLS to the number of kills")
def test_many_kills(context: ForkServerContext, options: dict[str, Any]) -> None:
    digest, took = uninterrupted(context, options)
    told = storm(context, options, kills=KILLS, longest=took, seed=1)
    print(
        f"{told.kills} kills, {dict(told.points)}: {len(told.digests)} fits ended, {told.resumed} times resumed, "
        f"{told.anew} times started, {len(told.litter)} half-written files left"
    )
    assert told.kills == KILLS
    assert set(told.digests) == {digest}
    assert told.litter == []
