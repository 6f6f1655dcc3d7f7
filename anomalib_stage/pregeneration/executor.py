# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Read, paint and write batches at the same time: the device never waits for the disk."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import diffusers
import numpy as np
import torch

from anomalib_stage._version import __version__
from anomalib_stage.errors import DataError
from anomalib_stage.files.images import read_bytes, read_mask
from anomalib_stage.files.pixels import convert_to_rgb, decode_stored
from anomalib_stage.files.prefetch import in_order
from anomalib_stage.pregeneration.output.manifest import PairRecord
from anomalib_stage.pregeneration.output.pair_files import Picture, convert_for_layout, write_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.files.pixels import Pixels
    from anomalib_stage.pipeline.synthesizer import StageSynthesizer
    from anomalib_stage.pregeneration.output.shards import Shard
    from anomalib_stage.pregeneration.planning.plan import Item, Source
    from anomalib_stage.pregeneration.planning.spec import Job, Layout

__all__ = ["Executor", "Throughput", "load_source", "versions"]

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


@dataclass(frozen=True, eq=False)
class _Batch:
    """A batch as it was read: stored pixels, and what the synthesizer takes."""

    items: Sequence[Item]
    stored: list[Pixels]
    images: Tensor
    masks: Tensor | None


def load_source(source: Source, layout: Layout) -> Pixels:
    """Read a good image that the plan has seen, as its layout keeps it.

    Raises:
        DataError: If it cannot be read or is not the file that it was.
    """
    data = read_bytes(source.path)
    if hashlib.sha256(data).hexdigest() != source.digest:
        msg = f"{source.path}: changed while the pairs were painted; put the old file back, or begin in another folder"
        raise DataError(msg)
    return convert_for_layout(decode_stored(data, source.path), layout)


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
            Painted: Pairs and times.

        Raises:
            DataError: If a file cannot be read or written.
        """
        done, begin = Throughput(), time.monotonic()
        with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as keeper:
            kept: deque[Future[int]] = deque()

            def settle(most: int) -> None:
                while len(kept) > most:
                    pairs = kept.popleft().result()
                    done.pairs += pairs
                    progress(pairs)

            for batch in in_order(self._read, batches, threads=READERS, ahead=AHEAD):
                started = time.monotonic()
                pictures = self._paint(batch)
                done.busy_seconds += time.monotonic() - started
                rows = zip(batch.items, pictures, strict=True)
                files = [writers.submit(self._write, *row) for row in rows if not finished[row[0].index]]
                kept.append(keeper.submit(_keep, files, shard))
                settle(AHEAD)
            settle(0)
        done.seconds = time.monotonic() - begin
        return done

    def _read(self, items: Sequence[Item]) -> _Batch:
        stored = [load_source(item.source, self._job.layout) for item in items]
        masks = [
            read_mask(item.mask, size=item.source.size, image=item.source.path)
            for item in items
            if item.mask is not None
        ]
        # by numpy: a parallel operation of torch in this thread would start a second team of OpenMP threads, and with
        # more threads than cores OpenMP sleeps at every barrier, which makes the painting thread half as fast
        images = np.ascontiguousarray(np.stack([convert_to_rgb(pixels) for pixels in stored]).transpose(0, 3, 1, 2))
        given = torch.from_numpy(np.stack(masks))[:, None] if masks else None
        return _Batch(items, stored, torch.from_numpy(images), given)

    def _paint(self, batch: _Batch) -> list[Picture]:
        pair = self._synthesizer(
            batch.images,
            defects=[item.defect for item in batch.items],
            masks=batch.masks,
            seeds=[item.seed for item in batch.items],
        )
        rows = zip(batch.stored, pair.image.numpy(), pair.mask[:, 0].numpy(), pair.visibility.tolist(), strict=True)
        return [Picture(*row) for row in rows]

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
            versions=versions(),
            **write_pair(item, picture, out=self._out, layout=self._job.layout),
        )


def _keep(files: Sequence[Future[PairRecord]], shard: Shard) -> int:
    """Enter pairs into the book once their files are in place."""
    shard.append([future.result() for future in files])
    return len(files)


def versions() -> dict[str, str]:
    """Return the versions of everything that has a say in the bytes."""
    return {
        "anomalib-stage": __version__,
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
