# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage pregenerate``: write image and mask pairs to a folder.

First a plan is made and every image and mask in it is read, so that what can be refused is refused before the first
file is written. Then the plan is painted in batches that the plan alone decides. A run that ended early is finished by
the same call, in any number of processes, and what comes out is what one run would have written.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.errors import DataError
from anomalib_stage.files.locks import locked
from anomalib_stage.pregeneration.distributed import Rank, check_devices, meet, while_launched
from anomalib_stage.pregeneration.executor import Throughput
from anomalib_stage.pregeneration.output.coco import check_coco
from anomalib_stage.pregeneration.planning.spec import JOB_NAME
from anomalib_stage.pregeneration.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anomalib_stage.pregeneration.job import Pregeneration

__all__ = ["check", "pregenerate", "run", "run_together"]

logger = logging.getLogger(__name__)


def run(
    job: Pregeneration,
    *,
    devices: int = 1,
    num_nodes: int = 1,
    coco: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, object]:
    """Finish a job, in several processes if asked for.

    Args:
        job (Pregeneration): The job.
        devices (int): Devices of this machine; one process for each.
        num_nodes (int): Machines; the same command is started on each, with a shared folder.
        coco (bool): Write COCO annotations too.
        progress (Callable[[int, int], None] | None): Called with pairs finished and planned.

    Returns:
        dict[str, object]: What :meth:`Pregeneration.finish` returns, and of this process: ``painted`` pairs,
        ``pairs_per_second`` and ``busy``, the share of that time in which it synthesized.

    Raises:
        StageError: If an argument cannot be used, or a file cannot be read or written.
    """
    check(job, devices=devices, num_nodes=num_nodes, coco=coco)
    return run_together(
        job, partial(meet, job.device, devices=devices, num_nodes=num_nodes), coco=coco, progress=progress
    )


def check(job: Pregeneration, *, devices: int = 1, num_nodes: int = 1, coco: bool = False) -> None:
    """Refuse arguments that :func:`run` would refuse before anything else; writes nothing.

    Raises:
        StageError: If an argument cannot be used.
    """
    check_devices(job.device, devices=devices, num_nodes=num_nodes)
    if coco:
        check_coco()


def run_together(
    job: Pregeneration,
    join: Callable[[], Rank],
    *,
    coco: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, object]:
    """Finish a job as one of several processes; see :func:`run`.

    Args:
        job (Pregeneration): The job.
        join (Callable[[], Rank]): Returns when all are there, with the place of this one. Until then nobody paints, so
            that all see the same batches missing.
        coco (bool): Write COCO annotations too.
        progress (Callable[[int, int], None] | None): Called with pairs finished and planned.

    Returns:
        dict[str, object]: See :func:`run`.

    Raises:
        StageError: If a file cannot be read or written, or the processes do not come together.
    """
    job.start()
    missing = job.find_missing()
    with locked(job.out / JOB_NAME, shared=True, wait=True):  # from before the others start: the last to leave ends it
        rank = join()
        job.device = rank.device
        with _explain_what_is_kept():
            numbers = sorted({*rank.share(missing), *job.find_damaged(rank.number, rank.world)})
            batches = while_launched(numbers, rank)
            painted = job.work(batches, shard=f"rank-{rank.number:04d}", progress=progress) if numbers else Throughput()
    rank.wait()
    with _explain_what_is_kept():
        result = job.finish(coco=coco, wait=rank.local == 0)
    if result["remaining"]:
        logger.warning("%s pairs are not finished; run the same command again to finish them", result["remaining"])
    pace = {
        "painted": painted.pairs,
        "pairs_per_second": round(painted.pairs / painted.seconds, 3) if painted.pairs else 0.0,
        "busy": round(painted.busy_seconds / painted.seconds, 3) if painted.pairs else 0.0,
    }
    return result | pace


@accept_old_names
def pregenerate(
    *,
    devices: int = 1,
    num_nodes: int = 1,
    coco: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,  # noqa: ANN401
) -> dict[str, object]:
    """Write synthetic pairs; the same arguments, weights and versions give the same bytes.

    Called again after an interruption it finishes what is missing, and repaints what is damaged.

    Args:
        devices (int): See :func:`run`; more than one only from the command line, which starts itself again.
        num_nodes (int): See :func:`run`.
        coco (bool): See :func:`run`.
        progress (Callable[[int, int], None] | None): See :func:`run`.
        **options (Any): What to paint: the arguments of :func:`prepare`.

    Returns:
        dict[str, object]: See :func:`run`.

    Raises:
        StageError: If an argument, image, mask or bundle cannot be used; the message says which.
    """
    return run(prepare(**options), devices=devices, num_nodes=num_nodes, coco=coco, progress=progress)


@contextmanager
def _explain_what_is_kept() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        msg = f"{error}; what is finished is kept, and the same command goes on from there"
        raise DataError(msg) from error
