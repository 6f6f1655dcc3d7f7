# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The book of finished pairs: append-only shards of lines, and the one sorted manifest that they become.

A pair is finished when its line stands in a shard or in the manifest. Its files were written and renamed before, so a
line without files can only come from a disk that lost them, and the digests in the line tell. A torn line is no line.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.locks import lock
from anomalib_stage.pregeneration.output.manifest import PairRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


__all__ = ["SHARD", "Shard"]

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
