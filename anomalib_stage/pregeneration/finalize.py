# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is written when every pair of a job is finished: manifest, table, annotations, check sums."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

from anomalib_stage.files.atomic import PARTIAL, write_chunks, write_file
from anomalib_stage.files.images import read_bytes
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pregeneration.output.coco import COCO_NAME, coco_chunks
from anomalib_stage.pregeneration.output.damage import find_file_damage
from anomalib_stage.pregeneration.output.entries import find_shards, merge, read_entries
from anomalib_stage.pregeneration.output.manifest import MANIFEST_NAME
from anomalib_stage.pregeneration.planning.spec import JOB_NAME
from anomalib_stage.pregeneration.source_batch import load_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anomalib_stage.pregeneration.planning.good_images import Source
    from anomalib_stage.pregeneration.planning.spec import Job

__all__ = ["SUMS_NAME", "finalize", "find_damaged_outputs", "is_finalized"]

SUMS_NAME = "SHA256SUMS"
"""Check sums of every file that is not of a pair, in the form that ``sha256sum --check`` reads."""

SAMPLES_NAME = "samples.csv"
TEST_SHARE = 5
"""In the ``mvtec`` layout every fifth good image, the first one included, goes to the test split."""


def finalize(out: Path, job: Job, sources: Sequence[Source], *, coco: bool) -> None:
    """Write everything that follows from the finished pairs; nobody else may work in the folder.

    Args:
        out (Path): Folder of the job; every pair has a line.
        job (Job): The job.
        sources (Sequence[Source]): Its good images.
        coco (bool): Write COCO annotations too.

    Raises:
        DataError: If a file cannot be read or written.
    """
    merge(out, job.count)
    goods = list(_name_good_copies(sources)) if job.layout == "mvtec" else []
    for source, names in goods:
        content = encode_png(load_source(source, job.layout, job.white_level))
        for name in names:
            write_file(out / name, content)
    write_chunks(out / SAMPLES_NAME, _list_samples(out, goods))
    if coco:
        write_chunks(out / COCO_NAME, coco_chunks(out, job.defects))
    written = [JOB_NAME, MANIFEST_NAME, SAMPLES_NAME, *(name for _, names in goods for name in names)]
    written += [COCO_NAME] if (out / COCO_NAME).exists() else []
    sums = (f"{hashlib.sha256(read_bytes(out / name)).hexdigest()}  {name}\n".encode() for name in sorted(written))
    for left in out.rglob(f".*{PARTIAL}"):
        left.unlink(missing_ok=True)
    write_chunks(out / SUMS_NAME, sums)


def is_finalized(out: Path, *, coco: bool) -> bool:
    """Return whether all of that is there and whole."""
    if find_shards(out) or not (out / SUMS_NAME).exists() or next(find_damaged_outputs(out), None) is not None:
        return False
    return not coco or (out / COCO_NAME).exists()


def find_damaged_outputs(out: Path) -> Iterator[str]:
    """Yield what is wrong with the files that the check sums name, in words."""
    for line in read_bytes(out / SUMS_NAME).decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        damage = find_file_damage(name, digest, out)
        if damage is not None:
            yield damage


def _name_good_copies(sources: Sequence[Source]) -> Iterator[tuple[Source, list[str]]]:
    """Yield where copies of the good images go: anomalib's ``MVTecAD`` needs a training and a test split of them."""
    for position, source in enumerate(sources):
        splits = ["test" if position % TEST_SHARE == 0 else "train"] if len(sources) > 1 else ["test", "train"]
        yield source, [f"{split}/good/{position:06d}_{source.path.stem}.png" for split in splits]


def _list_samples(out: Path, goods: Sequence[tuple[Source, list[str]]]) -> Iterator[bytes]:
    yield _format_row("image", "mask", "kind", "label", "source")
    for source, names in goods:
        yield from (_format_row(name, "", "good", 0, source.name) for name in names)
    for entry in read_entries(out):
        record = entry.record
        if record.image is not None:
            yield _format_row(record.image, record.mask, record.defect, 1, record.source)


def _format_row(*cells: object) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
