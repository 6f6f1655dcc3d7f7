# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``manifest.jsonl``: one JSON line for each pregenerated pair. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from anomalib_stage.errors import DataError
from anomalib_stage.pregeneration.planning.spec import Digest
from anomalib_stage.settings import FileSettings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MANIFEST_NAME", "PairRecord", "read_manifest"]

MANIFEST_NAME = "manifest.jsonl"


class PairRecord(FileSettings):
    """What a pair is, and all that is needed to paint it again. No time, no absolute path: runs compare byte for byte.

    Attributes:
        index: Position in the plan.
        image: File of the synthetic image, relative to the manifest's folder; None: no picture that was tried is
            visible enough, and nothing was written for this place in the plan.
        mask: File of its mask, relative to the manifest's folder; None as for the image.
        source: Good image that it was painted into, relative to the folder of good images.
        source_sha256: Digest of that file; None: not recorded.
        given_mask: Mask of the user that was painted, relative to their folder; None: drawn from the seed.
        defect: Defect.
        seed: Seed of the pair.
        base_seed: Seed that the run was started with.
        steps: Sampling steps.
        bundle: Digest of the weights.
        mask_area: Pixels of the mask.
        visibility: Change inside the mask, in units of what good surface painted over good surface would change.
        mean_change: Mean over the mask of the largest change of a channel, in grey levels of 0 to 255.
        image_sha256: Digest of the image file.
        mask_sha256: Digest of the mask file.
        versions: Packages that painted it; other versions may change the last bit of a pixel.
    """

    index: Annotated[int, Field(ge=0)]
    image: str | None
    mask: str | None
    source: str
    source_sha256: Digest | None = None
    given_mask: str | None = None
    defect: str = Field(alias="kind")
    seed: int
    base_seed: int
    steps: Annotated[int, Field(ge=1)]
    bundle: Digest
    mask_area: Annotated[int, Field(ge=0)]
    visibility: Annotated[float, Field(ge=0.0)]
    mean_change: Annotated[float, Field(ge=0.0, le=255.0)]
    image_sha256: Digest | None
    mask_sha256: Digest | None
    versions: dict[str, str] = Field(default_factory=dict)


def read_manifest(folder: Path) -> list[PairRecord]:
    """Read and validate a folder's ``manifest.jsonl``.

    Raises:
        DataError: If it is missing or a line is not a record; names the file and the line.
    """
    path = folder / MANIFEST_NAME
    try:
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        msg = f"{path}: cannot be read ({error}); give a folder that 'anomalib-stage pregenerate' finished"
        raise DataError(msg) from error
    return [_record(line, path=path, number=number) for number, line in enumerate(lines, start=1)]


def _record(line: bytes, *, path: Path, number: int) -> PairRecord:
    try:
        return PairRecord.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "line"
        msg = f"{path}: line {number} is not a pair ({where}: {first['msg']}); pregenerate the folder again"
        raise DataError(msg) from error
