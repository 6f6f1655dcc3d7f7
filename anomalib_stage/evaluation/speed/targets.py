# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the project's targets a speed benchmark meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.evaluation.speed.measurements import BASE, PERLIN, REFERENCE, SAME, STAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomalib_stage.evaluation.speed.measurements import Measurements

__all__ = ["Target", "judge"]


@dataclass(frozen=True)
class Target:
    """What was measured beside what the project aims at.

    Attributes:
        what: What was measured.
        measured: The number, with its unit; None: it was not measured.
        target: What was aimed at; None: nothing.
        met: Whether it is; None: there is no target, or no number.
    """

    what: str
    measured: str | None
    target: str | None = None
    met: bool | None = None


def judge(measured: Measurements) -> list[Target]:
    """Set what was measured beside what was aimed at."""
    return [
        *_judge_against_perlin(measured),
        *_judge_across_sizes(measured),
        *_judge_against_published(measured),
        *_judge_elsewhere(measured),
    ]


def _judge_against_perlin(measured: Measurements) -> Iterator[Target]:
    for size, most in ((BASE, None), (512, 1.0), (1024, 0.3), (2048, 0.1)):
        ours, free = measured.find_time(STAGE, size), measured.find_time(PERLIN, size)
        what = f"time of an image at {size} px, Perlin noise = 1"
        yield _at_most(what, ours / free if ours and free else None, None if measured.cuda else most, unit="times")


def _judge_across_sizes(measured: Measurements) -> Iterator[Target]:
    large = max(measured.settings["sizes"])
    for source, what, most in (
        (SAME, "the same defect", 1.2),
        (STAGE, "a defect that grows with the image, as by default", None),
    ):
        times = [measured.find_time(source, size) for size in (large, BASE)]
        ratio = times[0] / times[1] if large > BASE and times[0] and times[1] else None
        yield _at_most(f"time at {large} px, {BASE} px = 1: {what}", ratio, most, unit="times")


def _judge_against_published(measured: Measurements) -> Iterator[Target]:
    ours, theirs = (measured.find_time(source, BASE) for source in (STAGE, REFERENCE))
    counts = measured.flops
    yield _at_least(
        f"arithmetic of the published sampler with this network at {BASE} px, ours = 1",
        counts[REFERENCE] / counts[STAGE] if counts else None,
        500,
        unit="times",
    )
    yield _at_least(
        f"time of the published sampler with this network at {BASE} px, ours = 1",
        theirs / ours if ours and theirs else None,
        200,
        unit="times",
    )
    yield _at_least(
        f"arithmetic of the published method with its own network (872 M) at {BASE} px, ours = 1",
        counts["published"]["image"] / counts[STAGE] if counts else None,
        None,
        unit="times",
    )


def _judge_elsewhere(measured: Measurements) -> Iterator[Target]:
    for name, most in (("Draem", 5.0 if measured.cuda else 3.0), ("Supersimplenet", None)):
        share = measured.training.get(name, {}).get("share")
        size, batch = measured.settings["train_size"], measured.settings["train_batch_size"]
        what = f"what `StageAugment` adds to a {name} step, {size} px, batch {batch}"
        yield _at_most(what, None if share is None else 100 * share, most, unit="%")
    memory = {(row["size"], row["batch_size"]): row["megabytes"] for row in measured.memory}
    peak = memory.get((BASE, 32))
    yield _at_most(f"memory of a synthesis, {BASE} px, batch 32", peak, 500 if measured.cuda else None, unit="MB")
    rate, floor = measured.regions.get("per_second"), measured.regions.get("times_floor")
    yield _at_least("regions of 64 px a second, 10 steps", rate, 2000 if measured.cuda else None, unit="/s")
    yield _at_most(
        "time of such a region, its arithmetic alone = 1", floor, 3.0 if measured.cuda else None, unit="times"
    )


def _format_number(value: float, unit: str) -> str:
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits}{'' if unit in ('%', '/s') else ' '}{unit}"


def _at_most(what: str, value: float | None, most: float | None, *, unit: str) -> Target:
    return _build_target(what, value, most, unit=unit, sign="≤", met=None not in (value, most) and value <= most)  # type: ignore[operator]


def _at_least(what: str, value: float | None, least: float | None, *, unit: str) -> Target:
    return _build_target(what, value, least, unit=unit, sign="≥", met=None not in (value, least) and value >= least)  # type: ignore[operator]


def _build_target(what: str, value: float | None, bound: float | None, *, unit: str, sign: str, met: bool) -> Target:
    return Target(
        what,
        None if value is None else _format_number(value, unit),
        None if bound is None else f"{sign} {_format_number(bound, unit)}",
        met if value is not None and bound is not None else None,
    )
