# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Only the same job goes on in a folder of pairs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from anomalib_stage.errors import InputError
from anomalib_stage.files.atomic import PARTIAL, write_file
from anomalib_stage.files.claims import compare_facts, keep_old_digest, refuse_differences
from anomalib_stage.pregeneration.planning.spec import JOB_NAME, Job, read_job

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_free", "check_same", "choose_digest", "start_or_continue"]

logger = logging.getLogger(__name__)

MAY_DIFFER = ("versions.", "device")
"""Fields that may change the last bit of a pixel, and do not make a pair another one."""

MASKS_DIFFER = (
    ". If --masks is the same folder, its masks now go to other images: version 0.1.0 used them in turn in the order "
    "1, 10, 2, and now they go by name, or in turn in the order 1, 2, 10; what 0.1.0 began it has to finish"
)
"""Why masks differ that the user believes to be the same."""


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
        unset = {"white_level"} if job.white_level is None else None
        write_file(out / JOB_NAME, (job.model_dump_json(indent=2, by_alias=True, exclude=unset) + "\n").encode())


def choose_digest(out: Path, *, digest: str, legacy: str) -> str:
    """Return what the job in a folder calls its bundle; see :func:`~anomalib_stage.files.claims.keep_old_digest`."""
    noted = read_job(out).bundle if (out / JOB_NAME).exists() else None
    return keep_old_digest(out, noted, digest=digest, legacy=legacy)


def check_same(out: Path, job: Job) -> None:
    """Refuse a folder that holds anything else than a job, if it holds anything; see :func:`start_or_continue`."""
    check_free(out)
    if not (out / JOB_NAME).exists():
        return
    there, here = (json.loads(one.model_dump_json()) for one in (read_job(out), job))
    differences = compare_facts(there, here)
    small = {name: change for name, change in differences.items() if name.startswith(MAY_DIFFER)}
    other = {name: change for name, change in differences.items() if name not in small}
    advice = "give its options, or choose another folder" + (MASKS_DIFFER if "masks.sha256" in other else "")
    refuse_differences(f"--out {out}", other, what="job", advice=advice)
    for name, change in small.items():
        logger.warning("%s was begun with another %s; pixels may differ in the last bit", out, f"{name} ({change})")
