# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Going on where a training was interrupted, and with nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import DataError
from anomalib_stage.files.claims import compare_facts, keep_old_digest, refuse_differences, write_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["choose_base_digest", "claim_folder", "find_checkpoint"]

FACTS = "fit.json"


def find_checkpoint(folder: Path) -> Path:
    """Return the last checkpoint of a working folder.

    Raises:
        DataError: If there is none.
    """
    checkpoint = folder / "last.ckpt"
    if not checkpoint.is_file():
        msg = f"--resume given, but there is no checkpoint {checkpoint}; leave the flag out to start anew"
        raise DataError(msg)
    return checkpoint


def choose_base_digest(folder: Path, parent: StageBundle | None, *, resume: bool) -> str | None:
    """Return what a training in a folder calls its base; see :func:`~anomalib_stage.files.claims.keep_old_digest`."""
    if parent is None:
        return None
    try:
        noted = json.loads((folder / FACTS).read_text())["base"] if resume else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = None  # claim_folder says what is wrong with the file
    return keep_old_digest(folder, noted, digest=parent.digest, legacy=parent.legacy_digest)


def claim_folder(folder: Path, facts: Mapping[str, Any], *, resume: bool) -> None:
    """Note in a working folder what is trained there, or make sure that what is resumed is the same.

    A new training removes the checkpoint of an earlier one, which it would otherwise leave until its own first.

    Args:
        folder (Path): Working folder.
        facts (Mapping[str, Any]): What decides the result, as JSON values by name.
        resume (bool): Whether a training is resumed.

    Raises:
        InputError: If another training is resumed.
        DataError: If nothing says what the checkpoint is of.
    """
    file = folder / FACTS
    if not resume:
        (folder / "last.ckpt").unlink(missing_ok=True)
        write_facts(file, facts)
        return
    try:
        found = json.loads(file.read_text())
        other = compare_facts({name: found[name] for name in facts}, facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"--resume: {file} does not say what the checkpoint beside it is of ({error!r}); start anew without it"
        raise DataError(msg) from error
    advice = (
        "give the arguments and pictures that it was started with, another --workdir, or leave the flag out to start "
        "anew"
    )
    refuse_differences(f"--resume: {folder}", other, what="training", advice=advice)
