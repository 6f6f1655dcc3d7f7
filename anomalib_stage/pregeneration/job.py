# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A job that was checked: what is missing of it, painting that, and ending it."""

from __future__ import annotations

import logging
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.files.locks import locked
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.pregeneration.executor import Executor, Throughput
from anomalib_stage.pregeneration.finalize import finalize, is_finalized
from anomalib_stage.pregeneration.output.entries import find_finished, read_entries
from anomalib_stage.pregeneration.output.pair_files import name_pair_files
from anomalib_stage.pregeneration.output.shards import Shard
from anomalib_stage.pregeneration.planning.claim import check_same, start_or_continue
from anomalib_stage.pregeneration.planning.spec import JOB_NAME, Job
from anomalib_stage.pregeneration.verify import check_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import torch

    from anomalib_stage.pregeneration.planning.plan import Plan
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Pregeneration"]

logger = logging.getLogger(__name__)


class Pregeneration:
    """A job that can be painted: its description, its plan, and how far it is.

    Args:
        job (Job): Description.
        plan (Plan): Its pairs and batches.
        out (Path): Folder to write.
        bundle (StageBundle): Weights.
        device (torch.device): Where to paint; may be changed until the first batch.
        masks (Path | None): Folder of the given masks.
        skipped (int): Images that were left out.

    Attributes:
        finished (NDArray[np.bool_]): ``(count,)``, the pairs that were finished when this was made.
    """

    def __init__(
        self,
        job: Job,
        plan: Plan,
        *,
        out: Path,
        bundle: StageBundle,
        device: torch.device,
        masks: Path | None,
        skipped: int,
    ) -> None:
        self.job, self.plan, self.out, self.device = job, plan, out, device
        self._bundle, self._masks, self._skipped = bundle, masks, skipped
        self.finished = find_finished(out, job.count)

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield each pair of the plan as plain values."""
        for item in self.plan:
            yield {
                "index": item.index,
                "batch": self.plan.find_batch(item.index),
                "source": item.source.name,
                "given_mask": self._mask_name(item.mask),
                "defect": item.defect,
                "seed": item.seed,
                **name_pair_files(item, self.job.layout),
                "finished": bool(self.finished[item.index]),
            }

    def _mask_name(self, mask: Path | None) -> str | None:
        return None if mask is None or self._masks is None else mask.relative_to(self._masks).as_posix()

    def check(self) -> None:
        """Check that the folder is free or this job's; writes nothing.

        Raises:
            InputError: If the folder holds something else.
            DataError: If its description cannot be read.
        """
        check_same(self.out, self.job)

    def start(self) -> None:
        """Write the description, or check that the folder is this job's.

        Raises:
            InputError: If the folder holds something else.
            DataError: If it cannot be written.
        """
        start_or_continue(self.out, self.job)

    def find_missing(self) -> list[int]:
        """Return the numbers of the batches in which a pair is not finished."""
        return sorted({self.plan.find_batch(index) for index in np.flatnonzero(~self.finished).tolist()})

    def find_damaged(self, number: int = 0, world: int = 1) -> list[int]:
        """Return the numbers of the batches in which a finished pair's files are missing or damaged, and forget it.

        Args:
            number (int): Of the ``world`` parts of the batches that are checked in as many processes, the one to check.
            world (int): Number of parts.
        """
        ours, example = self.finished.copy(), ""
        ours[[i for i in np.flatnonzero(ours).tolist() if self.plan.find_batch(i) % world != number]] = False
        broken = ours.copy()
        for record, damage in check_pairs(
            self.out, only=lambda record: record.index < len(ours) and bool(ours[record.index])
        ):
            if damage is None:
                broken[record.index] = False
            else:
                example = damage
        if broken.any():
            logger.warning("%d finished pairs are painted again, such as %s", broken.sum(), example)
        self.finished &= ~broken
        return sorted({self.plan.find_batch(index) for index in np.flatnonzero(broken).tolist()})

    def work(
        self, numbers: Iterable[int], *, shard: str, progress: Callable[[int, int], None] | None = None
    ) -> Throughput:
        """Paint batches; their unfinished pairs are written.

        Args:
            numbers (Iterable[int]): Batches.
            shard (str): Name for the lines of this worker, unlike that of any other that works at the same time.
            progress (Callable[[int, int], None] | None): Called with pairs finished and planned.

        Returns:
            Throughput: Pairs and times.

        Raises:
            DataError: If a file cannot be read or written; what is finished is kept.
        """
        before, done = int(self.finished.sum()), 0

        def further(pairs: int) -> None:
            nonlocal done
            done += pairs
            if progress is not None:
                progress(before + done, self.job.count)

        batches = (self.plan.build_batch(number) for number in numbers)
        with locked(self.out / JOB_NAME, shared=True, wait=True), Shard(self.out, shard) as lines:
            return self._executor.paint(batches, lines, finished=self.finished, progress=further)

    @cached_property
    def _executor(self) -> Executor:
        synthesizer = StageSynthesizer(self._bundle, device=self.device, synthesis=self.job.settings)
        return Executor(synthesizer, out=self.out, job=self.job, mask_name=self._mask_name)

    def finish(self, *, coco: bool = False, wait: bool = True) -> dict[str, object]:
        """Write what follows from finished pairs, if all are, and say how far the job is.

        Args:
            coco (bool): Write COCO annotations too.
            wait (bool): Wait until no other process works in the folder; False: leave it to the last one.

        Returns:
            dict[str, object]: ``out``, ``pairs`` written, pairs ``rejected`` because nothing visible came out, pairs
            ``remaining``, images ``skipped`` and ``defects`` (written pairs by defect).

        Raises:
            DataError: If a file cannot be read or written; what is finished is kept.
        """
        with locked(self.out / JOB_NAME, wait=wait) as alone:
            finished = find_finished(self.out, self.job.count)
            if alone and finished.all() and not is_finalized(self.out, coco=coco):
                finalize(self.out, self.job, self.plan.sources, coco=coco)
            written: Counter[str] = Counter()
            left = finished.copy()
            for entry in read_entries(self.out):
                record = entry.record
                if record.index < len(left) and left[record.index]:
                    left[record.index] = False
                    written[record.defect] += record.image is not None
        return {
            "out": str(self.out),
            "pairs": written.total(),
            "rejected": int(finished.sum()) - written.total(),
            "remaining": int((~finished).sum()),
            "skipped": self._skipped,
            "defects": {defect: written[defect] for defect in self.job.defects},
        }
