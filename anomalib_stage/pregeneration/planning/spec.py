# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``job.json``: what a folder of pairs is made of. No torch here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import read_bytes
from anomalib_stage.settings import FileSettings, SynthesisSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["JOB_NAME", "Digest", "FileList", "Job", "Layout", "read_job"]

JOB_NAME = "job.json"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a file, in hexadecimal digits."""

Layout = Literal["folder", "mvtec"]
"""How the files of pairs are arranged."""


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
        white_level: Value of white in images with more than 8 bit; None, and not in the file: there are none.
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
    white_level: Annotated[int, Field(ge=1, le=65535)] | None = None


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
