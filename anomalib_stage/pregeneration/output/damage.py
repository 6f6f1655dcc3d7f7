# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the files of a pair are still what was written."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib_stage.pregeneration.output.manifest import PairRecord

__all__ = ["find_damage", "find_file_damage"]


def find_damage(record: PairRecord, out: Path) -> str | None:
    """Return what is wrong with a pair's files, in words; None: they are what the manifest says."""
    for name, digest in ((record.image, record.image_sha256), (record.mask, record.mask_sha256)):
        if name is not None and digest is not None:
            damage = find_file_damage(name, digest, out)
            if damage is not None:
                return damage
    return None


def find_file_damage(name: str, digest: str, out: Path) -> str | None:
    """Return what is wrong with a file of a known SHA-256, in words; None: nothing."""
    if not (out / name).is_file():
        return f"{name}: missing"
    try:
        seen = hashlib.sha256(read_bytes(out / name)).hexdigest()
    except DataError as error:
        return str(error)
    return None if seen == digest else f"{name}: damaged, its SHA-256 is {seen[:12]}... and not {digest[:12]}..."
