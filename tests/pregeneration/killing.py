# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that work on a job until they are killed; see ``test_killing.py``."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import torch

from anomalib_stage.pregeneration.distributed import Rank
from anomalib_stage.pregeneration.prepare import prepare
from anomalib_stage.pregeneration.run import run_together
from anomalib_stage.pregeneration.verify import verify

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, ForkServerProcess

LIMIT = 240.0
"""Seconds after which a process counts as hanging."""

LEFT_ALONE = 3
"""Exit code of a process that the others did not come to."""


def forkserver() -> ForkServerContext:
    """Return a source of processes that have everything imported: a start takes milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return context


def work(options: dict[str, Any], number: int, world: int, meeting: Path) -> None:
    """Be one of several processes on a job; they meet in a folder, since a killed one could keep a lock."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    job = prepare(**options)

    def join() -> Rank:
        (meeting / str(number)).touch()
        while len(list(meeting.glob("[0-9]"))) < world:
            if (meeting / "off").exists():
                sys.exit(LEFT_ALONE)
            time.sleep(0.002)
        return Rank(number, world, job.device, local=number)

    run_together(job, join)


@dataclass
class Team:
    """The processes of one job, and the folder that they meet in."""

    workers: list[ForkServerProcess]
    meeting: Path

    def finish(self) -> list[int | None]:
        """Wait for the processes and return their exit codes."""
        for worker in self.workers:
            worker.join(LIMIT)
        return [worker.exitcode for worker in self.workers]


def start(context: ForkServerContext, options: dict[str, Any], world: int) -> Team:
    """Start the processes of a job."""
    meeting = Path(tempfile.mkdtemp())
    workers = [context.Process(target=work, args=(options, number, world, meeting)) for number in range(world)]
    for worker in workers:
        worker.start()
    return Team(workers, meeting)


def kill_after(team: Team, seconds: float, *, victims: int) -> bool:
    """Kill the last processes at a moment; the others go on. Returns whether one was still at work."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(worker.is_alive() for worker in team.workers):
        time.sleep(0.002)
    alive = [worker for worker in team.workers[-victims:] if worker.is_alive()]
    for worker in alive:
        worker.kill()
        (team.meeting / "off").touch()
    return bool(alive)


def is_finished(out: Path) -> bool:
    """Return whether a job has ended."""
    return (out / "SHA256SUMS").exists() and not list(out.glob("manifest.*.jsonl"))


def storm(context: ForkServerContext, options: dict[str, Any], *, kills: int, longest: float, seed: int) -> list[Path]:
    """Kill jobs at random moments, one and two processes in turn, and go on with each until it has ended.

    After every kill all lines must be those of whole pairs.

    Args:
        context (ForkServerContext): Source of processes.
        options (dict[str, Any]): The job.
        kills (int): Kills in total.
        longest (float): Seconds after the start within which a kill comes.
        seed (int): Of the moments.

    Returns:
        list[Path]: The folders of the ended jobs.
    """
    moments, done, folders = random.Random(seed), 0, []
    out = options["out"]
    while done < kills or out.exists() or not folders:
        world = 1 + done % 2
        team = start(context, options, world)
        if done < kills:
            hit = kill_after(team, moments.uniform(0, longest), victims=moments.randint(1, world))
            done, longest = done + hit, longest * (1.0 if hit else 0.8)  # the machine may have become faster
        codes = team.finish()
        assert set(codes) <= {0, -9, LEFT_ALONE}, codes
        if not (out / "job.json").exists():
            continue
        found, problems = verify(out)
        assert problems == [], (found, problems)
        if is_finished(out):
            folders.append(Path(shutil.move(out, out.with_name(f"{out.name}-{len(folders)}"))))
    return folders
