# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage verify``: is every file of a folder still what was written?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.files.prefetch import map_in_order
from anomalib_stage.pregeneration.finalize import SUMS_NAME, find_damaged_outputs
from anomalib_stage.pregeneration.output.damage import find_damage
from anomalib_stage.pregeneration.output.entries import read_entries
from anomalib_stage.pregeneration.planning.spec import read_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.pregeneration.output.manifest import PairRecord

__all__ = ["check_pairs", "verify"]

THREADS = 2


def check_pairs(
    out: Path, *, only: Callable[[PairRecord], bool] | None = None
) -> Iterator[tuple[PairRecord, str | None]]:
    """Read the files of every line again, and say what is wrong with them.

    Args:
        out (Path): Folder of a job.
        only (Callable[[PairRecord], bool] | None): Which lines; None: all.

    Yields:
        tuple[PairRecord, str | None]: A line, and what is wrong in words; None: nothing. A pair may have two lines.
    """
    records = (entry.record for entry in read_entries(out) if only is None or only(entry.record))
    yield from map_in_order(partial(_check, out=out), records, threads=THREADS, ahead=4 * THREADS)


def _check(record: PairRecord, out: Path) -> tuple[PairRecord, str | None]:
    return record, find_damage(record, out)


def verify(folder: Path) -> tuple[dict[str, object], list[str]]:
    """Check every file against the manifest; changes nothing.

    Args:
        folder (Path): Folder that ``pregenerate`` wrote, finished or not.

    Returns:
        tuple[dict[str, object], list[str]]: ``out``, pairs ``planned`` and whole ``pairs``, pairs ``rejected``
        because nothing visible came out, ``remaining`` pairs without a line, and the number of ``damaged`` files; then
        the damages in words, at most one for each pair.

    Raises:
        DataError: If there is no valid description of a job.
    """
    job = read_job(folder)
    whole: NDArray[np.bool_] = np.zeros(job.count, dtype=np.bool_)
    rejected = whole.copy()
    damages: dict[int, str] = {}
    for record, damage in check_pairs(folder, only=lambda record: record.index < job.count):
        if damage is None:
            whole[record.index], rejected[record.index] = True, record.image is None
        else:
            damages[record.index] = damage
    problems = [damages[index] for index in sorted(damages) if not whole[index]]
    remaining = job.count - int(whole.sum()) - len(problems)
    if (folder / SUMS_NAME).exists():
        problems += find_damaged_outputs(folder)
    found: dict[str, object] = {
        "out": str(folder),
        "planned": job.count,
        "pairs": int((whole & ~rejected).sum()),
        "rejected": int(rejected.sum()),
        "remaining": remaining,
        "damaged": len(problems),
    }
    return found, problems
