# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The book of finished pairs: append-only shards of lines, and the one sorted manifest that they become.

A pair is finished when its line stands in a shard or in the manifest. Its files were written and renamed before, so a
line without files can only come from a disk that lost them, and the digests in the line tell. A torn line is no line.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import ValidationError

from anomalib_stage.errors import DataError
from anomalib_stage.files.atomic import write_chunks
from anomalib_stage.files.locks import lock
from anomalib_stage.pregeneration.output.manifest import MANIFEST_NAME, PairRecord
from anomalib_stage.pregeneration.output.pair_files import find_damage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["Entry", "Shard", "entries", "finished_pairs", "merge", "shards"]

SHARD = "manifest.{name}.jsonl"
TAIL = 1 << 16
"""Bytes looked at for a torn line; a line is much shorter."""


class Shard:
    """The lines of one worker; a context manager.

    Args:
        out (Path): Folder of the job.
        name (str): Name of the worker, such as ``rank-0001``; no two at the same time may have the same.

    Raises:
        DataError: On entering, if another process writes this shard, or it cannot be opened.
    """

    def __init__(self, out: Path, name: str) -> None:
        self._path, self._name = out / SHARD.format(name=name), name

    def __enter__(self) -> Shard:
        try:
            self._stream = self._path.open("a+b", buffering=0)
        except OSError as error:
            raise self._failed(error) from error
        if not lock(self._stream):
            self._stream.close()
            msg = (
                f"{self._path}: another process writes it as {self._name}; wait for that run or stop it (processes "
                "started by torchrun or srun need --devices and --num-nodes)"
            )
            raise DataError(msg)
        self._drop_torn_line()
        return self

    def __exit__(
        self, defect: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stream.close()

    def append(self, records: Sequence[PairRecord]) -> None:
        """Write lines for pairs whose files are in place, and wait until the lines are on the disk.

        Raises:
            DataError: If they cannot be written; then none of them is.
        """
        size = os.fstat(self._stream.fileno()).st_size
        rest = memoryview("".join(record.model_dump_json(by_alias=True) + "\n" for record in records).encode())
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._stream.truncate(size)
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> DataError:
        return DataError(f"{self._path}: cannot be written ({error.strerror or error}); make space and allow writing")

    def _drop_torn_line(self) -> None:
        size = os.fstat(self._stream.fileno()).st_size
        self._stream.seek(max(size - TAIL, 0))
        tail = self._stream.read()
        self._stream.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


class Entry(NamedTuple):
    """A line and where it stands."""

    path: Path
    offset: int
    record: PairRecord


def shards(out: Path) -> list[Path]:
    """Return the shards that are not merged yet."""
    return sorted(out.glob(SHARD.format(name="*")))


def entries(out: Path) -> Iterator[Entry]:
    """Yield every line that is whole, the manifest's last: a merge writes it before it removes the shards.

    Raises:
        DataError: If a file of lines cannot be read.
    """
    for path in [*shards(out), out / MANIFEST_NAME]:
        try:
            stream = path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            msg = f"{path}: cannot be read ({error.strerror or error}); check its permissions"
            raise DataError(msg) from error
        with stream:
            offset = 0
            for line in stream:
                with contextlib.suppress(ValidationError):
                    if line.endswith(b"\n"):
                        yield Entry(path, offset, PairRecord.model_validate_json(line))
                offset += len(line)


def finished_pairs(out: Path, count: int) -> NDArray[np.bool_]:
    """Return for each place in a plan of ``count`` pairs whether it has a line."""
    finished = np.zeros(count, dtype=np.bool_)
    for entry in entries(out):
        if entry.record.index < count:
            finished[entry.record.index] = True
    return finished


def merge(out: Path, count: int) -> None:
    """Write the sorted manifest of a job whose pairs are all finished, and remove the shards.

    Two numbers are kept for each pair, not its line. Where a pair has two lines (it was painted again, or twice), the
    one counts whose files are there.

    Raises:
        DataError: If the manifest cannot be written; the shards are still there then.
    """
    sources = [*shards(out), out / MANIFEST_NAME]
    number = {path: i for i, path in enumerate(sources)}
    places = np.full((count, 2), -1, dtype=np.int64)
    for entry in entries(out):
        index = entry.record.index
        if index < count and (places[index, 0] < 0 or find_damage(entry.record, out) is None):
            places[index] = number[entry.path], entry.offset
    write_chunks(out / MANIFEST_NAME, _lines(sources, places), durable=True)
    for path in sources[:-1]:
        path.unlink(missing_ok=True)


def _lines(sources: Sequence[Path], places: NDArray[np.int64]) -> Iterator[bytes]:
    with contextlib.ExitStack() as stack:
        streams = {int(i): stack.enter_context(sources[i].open("rb")) for i in np.unique(places[:, 0])}
        for source, offset in places.tolist():
            streams[source].seek(offset)
            yield streams[source].readline()
