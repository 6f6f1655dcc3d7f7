# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The lines of finished pairs: read from shards and manifest, and merged into the one sorted manifest."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import ValidationError

from anomalib_stage.errors import DataError
from anomalib_stage.files.atomic import write_chunks
from anomalib_stage.pregeneration.output.damage import find_damage
from anomalib_stage.pregeneration.output.manifest import MANIFEST_NAME, PairRecord
from anomalib_stage.pregeneration.output.shards import SHARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Entry", "find_finished", "find_shards", "merge", "read_entries"]


class Entry(NamedTuple):
    """A line and where it stands."""

    path: Path
    offset: int
    record: PairRecord


def find_shards(out: Path) -> list[Path]:
    """Return the shards that are not merged yet."""
    return sorted(out.glob(SHARD.format(name="*")))


def read_entries(out: Path) -> Iterator[Entry]:
    """Yield every line that is whole, the manifest's last: a merge writes it before it removes the shards.

    Raises:
        DataError: If a file of lines cannot be read.
    """
    for path in [*find_shards(out), out / MANIFEST_NAME]:
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


def find_finished(out: Path, count: int) -> NDArray[np.bool_]:
    """Return for each place in a plan of ``count`` pairs whether it has a line."""
    finished = np.zeros(count, dtype=np.bool_)
    for entry in read_entries(out):
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
    sources = [*find_shards(out), out / MANIFEST_NAME]
    number = {path: i for i, path in enumerate(sources)}
    places = np.full((count, 2), -1, dtype=np.int64)
    for entry in read_entries(out):
        index = entry.record.index
        if index < count and (places[index, 0] < 0 or find_damage(entry.record, out) is None):
            places[index] = number[entry.path], entry.offset
    write_chunks(out / MANIFEST_NAME, _read_lines(sources, places), durable=True)
    for path in sources[:-1]:
        path.unlink(missing_ok=True)


def _read_lines(sources: Sequence[Path], places: NDArray[np.int64]) -> Iterator[bytes]:
    with contextlib.ExitStack() as stack:
        streams = {int(i): stack.enter_context(sources[i].open("rb")) for i in np.unique(places[:, 0])}
        for source, offset in places.tolist():
            streams[source].seek(offset)
            yield streams[source].readline()
