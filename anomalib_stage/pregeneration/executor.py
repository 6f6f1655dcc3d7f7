# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Read, paint and write batches at the same time: the device never waits for the disk."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from anomalib_stage.files.prefetch import map_in_order
from anomalib_stage.pregeneration.output.manifest import PairRecord
from anomalib_stage.pregeneration.output.pair_files import Picture, write_pair
from anomalib_stage.pregeneration.source_batch import read_batch
from anomalib_stage.pregeneration.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.pipeline.synthesizer import StageSynthesizer
    from anomalib_stage.pregeneration.output.shards import Shard
    from anomalib_stage.pregeneration.planning.plan import Item
    from anomalib_stage.pregeneration.planning.spec import Job
    from anomalib_stage.pregeneration.source_batch import SourceBatch

__all__ = ["Executor", "Throughput"]

READERS = 1
WRITERS = 2
"""Threads that encode and write beside the painting."""

AHEAD = 1
"""Batches read ahead, and batches whose files may still be in work while the next one is painted."""


@dataclass
class Throughput:
    """What a run of batches came to.

    Attributes:
        pairs: Pairs finished.
        seconds: Wall-clock time.
        busy_seconds: Time in the synthesizer.
    """

    pairs: int = 0
    seconds: float = 0.0
    busy_seconds: float = 0.0


class Executor:
    """Paints batches of a plan into a folder.

    Args:
        synthesizer (StageSynthesizer): Paints.
        out (Path): Folder of the job.
        job (Job): Its description.
        mask_name (Callable[[Path | None], str | None]): What the manifest calls a given mask.
    """

    def __init__(
        self,
        synthesizer: StageSynthesizer,
        *,
        out: Path,
        job: Job,
        mask_name: Callable[[Path | None], str | None],
    ) -> None:
        self._synthesizer, self._out, self._job, self._mask_name = synthesizer, out, job, mask_name

    def paint(
        self,
        batches: Iterable[Sequence[Item]],
        shard: Shard,
        *,
        finished: NDArray[np.bool_],
        progress: Callable[[int], None],
    ) -> Throughput:
        """Paint whole batches, and write those of their pairs that are not finished.

        Whatever ends it, an error or an interruption: pictures that were painted are written first.

        Args:
            batches (Iterable[Sequence[Item]]): Pairs with images of one size; taken one by one.
            shard (Shard): Gets a line for each pair.
            finished (NDArray[np.bool_]): ``(pairs of the plan,)``.
            progress (Callable[[int], None]): Called with the number of further pairs finished.

        Returns:
            Throughput: Pairs and times.

        Raises:
            DataError: If a file cannot be read or written.
        """
        done, begin = Throughput(), time.monotonic()
        with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as keeper:
            kept: deque[Future[int]] = deque()

            def wait_until(most: int) -> None:
                while len(kept) > most:
                    pairs = kept.popleft().result()
                    done.pairs += pairs
                    progress(pairs)

            for batch in map_in_order(
                partial(read_batch, layout=self._job.layout, white_level=self._job.white_level),
                batches,
                threads=READERS,
                ahead=AHEAD,
            ):
                started = time.monotonic()
                pictures = self._paint(batch)
                done.busy_seconds += time.monotonic() - started
                rows = zip(batch.items, pictures, strict=True)
                files = [writers.submit(self._write, *row) for row in rows if not finished[row[0].index]]
                kept.append(keeper.submit(_enter, files, shard))
                wait_until(AHEAD)
            wait_until(0)
        done.seconds = time.monotonic() - begin
        return done

    def _paint(self, batch: SourceBatch) -> list[Picture]:
        pair = self._synthesizer(
            batch.images,
            defects=[item.defect for item in batch.items],
            masks=batch.masks,
            seeds=[item.seed for item in batch.items],
        )
        rows = zip(batch.stored, pair.image.numpy(), pair.mask[:, 0].numpy(), pair.visibility.tolist(), strict=True)
        return [Picture(*row, self._job.white_level) for row in rows]

    def _write(self, item: Item, picture: Picture) -> PairRecord:
        return PairRecord(
            index=item.index,
            source=item.source.name,
            source_sha256=item.source.digest,
            given_mask=self._mask_name(item.mask),
            defect=item.defect,
            seed=item.seed,
            base_seed=self._job.seed,
            steps=self._synthesizer.steps,
            bundle=self._job.bundle,
            versions=list_versions(),
            **write_pair(item, picture, out=self._out, layout=self._job.layout),
        )


def _enter(files: Sequence[Future[PairRecord]], shard: Shard) -> int:
    """Enter pairs into the book once their files are in place."""
    shard.append([future.result() for future in files])
    return len(files)
