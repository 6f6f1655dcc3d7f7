# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that fit until they are killed; see ``test_kills.py``."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import torch

from anomalib_stage.training import fit as fit_module
from anomalib_stage.training.callbacks import held_out
from anomalib_stage.training.callbacks import sample_sheet as sheet
from anomalib_stage.training.checkpoint_file import LAST, PREVIOUS
from anomalib_stage.training.measure import compare
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

LIMIT = 240.0
"""Seconds after which a process counts as hanging."""

POINTS = ("half written", "written", "on the disk", "the one before moved away", "in its place")
"""Moments of writing a checkpoint."""


def work(options: dict[str, Any], point: str | None, left: int) -> None:
    """Fit, and be killed at a moment of writing a checkpoint, if one is given, after some that are let pass."""
    multiprocessing.set_start_method("fork", force=True)  # for processes that load pictures: a start in milliseconds
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    fit_module.EPOCH_STEPS, held_out.REGIONS, sheet.COLUMNS, compare.EACH = 2, (2, 1), 1, 1
    if point is not None:
        _arm(point, left)
    fit_module.fit(**options)


def _arm(point: str, left: int) -> None:
    """Kill this process at the moment, when it comes for the last of some times."""
    passed: Counter[str] = Counter()
    opened, synced, renamed = Path.open, os.fsync, Path.replace

    def reach(here: str) -> None:
        passed[here] += 1
        if here == point and passed[here] > left:
            os.kill(os.getpid(), signal.SIGKILL)

    def open_(self: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        stream = opened(self, mode, *args, **more)
        if point == "half written" and self.suffix == ".part" and mode == "wb":
            stream.raw.write(bytes(1000))
            reach("half written")
            stream.raw.seek(0)
        return stream

    def fsync(file: int) -> None:
        reach("written")
        synced(file)
        reach("on the disk")

    def replace(self: Path, target: Path) -> Path:
        found = renamed(self, target)
        reach({PREVIOUS: "the one before moved away", LAST: "in its place"}.get(Path(target).name, "another file"))
        return found

    Path.open, os.fsync, Path.replace = open_, fsync, replace  # type: ignore[assignment, method-assign]


@dataclass
class Storm:
    """What kills did.

    Attributes:
        digests: Of the bundles of fits that ended.
        seconds: How long each process lived that was killed.
        points: How many were killed at each moment of writing a checkpoint.
        anew: How many had to start anew, since the kill came before the first checkpoint.
        resumed: How many went on.
        litter: Half-written files that were left when a fit had ended.
    """

    digests: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)
    anew: int = 0
    resumed: int = 0
    litter: list[Path] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Processes that were killed while they were at work."""
        return len(self.seconds)


def storm(context: ForkServerContext, options: dict[str, Any], *, kills: int, longest: float, seed: int) -> Storm:
    """Kill fits, a quarter of them while they write a checkpoint, and go on with each until it has ended.

    Args:
        context (ForkServerContext): Source of processes.
        options (dict[str, Any]): The fit; its folders are removed after each that has ended.
        kills (int): Kills in total.
        longest (float): Seconds after the start within which a kill comes.
        seed (int): Of the moments.
    """
    moments, told = random.Random(seed), Storm()
    out, folder = options["out"], options["workdir"]
    while told.kills < kills or folder.exists():
        goes_on = any((folder / name).exists() for name in (LAST, PREVIOUS))
        told.resumed, told.anew = told.resumed + goes_on, told.anew + (not goes_on)
        point = moments.choice(POINTS) if told.kills < kills and told.kills % 4 == 0 else None
        worker = context.Process(target=work, args=(options | {"resume": goes_on}, point, moments.randint(0, 2)))
        began = time.monotonic()
        worker.start()
        if point is None and told.kills < kills:
            worker.join(moments.uniform(0.0, longest))
            worker.kill()
        worker.join(LIMIT)
        assert worker.exitcode in {0, -9}, worker.exitcode
        if worker.exitcode:
            told.seconds.append(time.monotonic() - began)
            told.points[str(point)] += 1
            continue
        told.digests.append(StageBundle.load(out).digest)
        told.litter += [path for root in (folder, out.parent) for path in root.rglob("*.part")]
        shutil.rmtree(folder)
        out.unlink()
    return told
