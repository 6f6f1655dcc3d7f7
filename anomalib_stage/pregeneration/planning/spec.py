# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``job.json``: what a folder of pairs is made of, so that only the same job goes on in it. No torch here."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.atomic import PARTIAL, write_file
from anomalib_stage.files.images import read_bytes
from anomalib_stage.settings import FileSettings, SynthesisSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "JOB_NAME",
    "Digest",
    "FileList",
    "Job",
    "Layout",
    "check_free",
    "check_same",
    "read_job",
    "start_or_continue",
]

logger = logging.getLogger(__name__)

JOB_NAME = "job.json"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a file, in hexadecimal digits."""

Layout = Literal["folder", "mvtec"]
"""How the files of pairs are arranged."""

MAY_DIFFER = ("versions.", "device")
"""Fields that may change the last bit of a pixel, and do not make a pair another one."""


class FileList(FileSettings):
    """Files that a job reads.

    Attributes:
        files: Their number.
        sha256: Digest over their names and contents, in order.
    """

    files: int
    sha256: Digest

    @classmethod
    def of(cls, files: Iterable[tuple[str, str]]) -> FileList:
        """Digest pairs of a name and the SHA-256 of a content."""
        lines = [f"{digest}  {name}\n" for name, digest in files]
        return cls(files=len(lines), sha256=hashlib.sha256("".join(lines).encode()).hexdigest())


class Job(FileSettings):
    """Everything that decides what is written.

    Attributes:
        format: Version of this file.
        count: Pairs in the plan.
        seed: Base seed.
        defects: Defects to draw from.
        batch_size: Most pairs painted together.
        layout: Where files go.
        bundle: Digest of the weights.
        settings: How pairs are painted.
        sources: Good images used.
        masks: Masks of the user; None: they are drawn.
        versions: Packages that began the job.
        device: Kind of device that began it.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    count: Annotated[int, Field(ge=1)]
    seed: int
    defects: tuple[str, ...] = Field(alias="kinds")
    batch_size: Annotated[int, Field(ge=1)]
    layout: Layout
    bundle: Digest
    settings: SynthesisSettings
    sources: FileList
    masks: FileList | None
    versions: dict[str, str]
    device: str


def check_free(out: Path) -> None:
    """Refuse a folder with anything in it, unless it is a job's.

    Raises:
        InputError: If it cannot become or stay the folder of a job.
    """
    if not out.exists() or (out / JOB_NAME).exists():
        return
    if not out.is_dir() or any(not path.name.endswith(PARTIAL) for path in out.iterdir()):
        msg = f"--out {out} is not an empty folder and holds no {JOB_NAME} to go on with; choose another, or remove it"
        raise InputError(msg)


def start_or_continue(out: Path, job: Job) -> None:
    """Write the description of a job to an absent or empty folder, or check that it is the job of this folder.

    Raises:
        InputError: If the folder holds something else; for another job with every difference, ``there -> here``.
        DataError: If the description cannot be read or written.
    """
    check_same(out, job)
    if not (out / JOB_NAME).exists():
        write_file(out / JOB_NAME, (job.model_dump_json(indent=2, by_alias=True) + "\n").encode())


def check_same(out: Path, job: Job) -> None:
    """Refuse a folder that holds anything else than a job, if it holds anything; see :func:`start_or_continue`."""
    check_free(out)
    if not (out / JOB_NAME).exists():
        return
    differences = _differences(read_job(out), job)
    small = {name: change for name, change in differences.items() if name.startswith(MAY_DIFFER)}
    if small.keys() != differences.keys():
        listed = "; ".join(f"{name} {change}" for name, change in differences.items() if name not in small)
        msg = f"--out {out} holds another job (there -> here): {listed}; give its options, or choose another folder"
        raise InputError(msg)
    for name, change in small.items():
        logger.warning("%s was begun with another %s; pixels may differ in the last bit", out, f"{name} ({change})")


def read_job(out: Path) -> Job:
    """Read a folder's description.

    Raises:
        DataError: If it is missing or not valid.
    """
    path = out / JOB_NAME
    if not path.is_file():
        msg = f"{path}: no such file; give a folder that 'anomalib-stage pregenerate' wrote"
        raise DataError(msg)
    try:
        return Job.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        msg = f"{path}: not a description of a job ({where}: {first['msg']}); remove the folder and pregenerate again"
        raise DataError(msg) from error


def _differences(there: Job, here: Job) -> dict[str, str]:
    old, new = (dict(_flat(json.loads(job.model_dump_json()))) for job in (there, here))
    names = [*new, *(name for name in old if name not in new)]
    return {name: f"{old.get(name)} -> {new.get(name)}" for name in names if old.get(name) != new.get(name)}


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner
