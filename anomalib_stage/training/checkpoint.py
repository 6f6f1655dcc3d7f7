# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Going on where a training was interrupted, and with nothing else."""

from __future__ import annotations

import json
import logging
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import torch

from anomalib_stage.errors import DataError
from anomalib_stage.files.claims import compare_facts, keep_old_digest, refuse_differences, write_facts
from anomalib_stage.training.checkpoint_file import LAST, PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Checkpoint", "choose_base_digest", "claim_folder", "find_checkpoint", "read_names"]

logger = logging.getLogger(__name__)

FACTS = "fit.json"
NAMES = "names"
"""Key of the facts that says which defect each folder is learnt as; it may be another one in the bundle."""

CONDITION = "denoiser.conditions."
"""Names of condition vectors in a checkpoint begin with this."""


class Checkpoint(NamedTuple):
    """A whole checkpoint.

    Args:
        path (Path): Its file.
        step (int): Steps that were taken.
        defects (frozenset[str]): Defects that its network has condition vectors of.
    """

    path: Path
    step: int
    defects: frozenset[str]


def find_checkpoint(folder: Path) -> Checkpoint:
    """Return the last whole checkpoint of a working folder; damaged ones are named.

    Raises:
        DataError: If there is none.
    """
    damaged: list[str] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            found = _read_checkpoint(path)
        except DataError as error:
            damaged.append(f"{path} is damaged ({error})")
            continue
        if damaged:
            logger.warning("--resume: %s; going on from the one before it, of step %d", damaged[0], found.step)
        return found
    if damaged:
        msg = f"--resume: {'; '.join(damaged)}; no whole checkpoint is left: leave the flag out to start anew"
        raise DataError(msg)
    msg = (
        f"--resume given, but there is no checkpoint {folder / LAST}; give the --workdir that the training was started "
        "in, or leave the flag out to start anew"
    )
    raise DataError(msg)


def _read_checkpoint(path: Path) -> Checkpoint:
    """Check a file to the last bit (every part of it has a checksum), without executing anything in it."""
    try:
        with zipfile.ZipFile(path) as parts:
            broken = parts.testzip()
        if broken is not None:
            _refuse(broken)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        names = [name.removeprefix(CONDITION) for name in content["state_dict"] if name.startswith(CONDITION)]
        return Checkpoint(path, int(content["global_step"]), frozenset(names))
    except Exception as error:  # damage surfaces in many ways
        lines = (str(error) or type(error).__name__).splitlines()
        raise DataError(lines[0]) from error


def _refuse(part: str) -> NoReturn:
    msg = f"the checksum of {part} is another"
    raise DataError(msg)


def read_names(folder: Path) -> dict[str, str] | None:
    """Return which defect each folder of pictures was learnt as; None where nothing says it, as before version 0.2."""
    try:
        names = json.loads((folder / FACTS).read_text(encoding="utf-8")).get(NAMES)
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    strings = isinstance(names, dict) and all(isinstance(name, str) for name in names.values())
    return names if strings else None


def choose_base_digest(folder: Path, parent: StageBundle | None, *, resume: bool) -> str | None:
    """Return what a training in a folder calls its base; see :func:`~anomalib_stage.files.claims.keep_old_digest`."""
    if parent is None:
        return None
    try:
        noted = json.loads((folder / FACTS).read_text())["base"] if resume else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = None  # claim_folder says what is wrong with the file
    return keep_old_digest(folder, noted, digest=parent.digest, legacy=parent.legacy_digest)


def claim_folder(folder: Path, facts: Mapping[str, Any], *, names: Mapping[str, str], resume: bool) -> None:
    """Note in a working folder what is trained there, or make sure that what is resumed is the same.

    A new training removes the checkpoints of an earlier one, which it would otherwise leave until its own first.

    Args:
        folder (Path): Working folder.
        facts (Mapping[str, Any]): What decides the result, as JSON values by name.
        names (Mapping[str, str]): Which defect each folder of pictures is learnt as.
        resume (bool): Whether a training is resumed.

    Raises:
        InputError: If another training is resumed.
        DataError: If nothing says what the checkpoint is of.
    """
    file = folder / FACTS
    if not resume:
        for name in (PREVIOUS, LAST):
            (folder / name).unlink(missing_ok=True)
        write_facts(file, {**facts, NAMES: dict(names)})
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        other = compare_facts({name: found[name] for name in facts}, facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"--resume: {file} does not say what the checkpoint beside it is of ({error!r}); start anew without it"
        raise DataError(msg) from error
    advice = (
        "give the arguments and pictures that it was started with, another --workdir, or leave the flag out to start "
        "anew"
    )
    refuse_differences(f"--resume: {folder}", other, what="training", advice=advice)
