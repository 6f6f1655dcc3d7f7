# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured, and which targets it meets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BASE", "PERLIN", "REFERENCE", "SAME", "STAGE", "Results", "Row", "Time"]

STAGE, SAME, PERLIN, REFERENCE = "stage", "stage, same defect", "perlin", "published sampler"
"""Ways to an anomalous image; ``SAME``: the defects have the size in pixels that they have at 256 px."""

BASE = 256
"""Side in pixels that the published method works at."""


@dataclass(frozen=True)
class Time:
    """Time of one way to an anomalous image.

    Attributes:
        source: Which way.
        size: Side of the images in pixels.
        batch_size: Images in a batch.
        steps: Denoising steps of an image; 0 for Perlin noise.
        measured_steps: Steps that were measured; the time of an image is scaled from them if they are fewer.
        images: Images painted in a round.
        milliseconds: Per image, median over the rounds of the mean over a round.
        rounds: That mean of each round.
    """

    source: str
    size: int
    batch_size: int
    steps: int
    measured_steps: int
    images: int
    milliseconds: float
    rounds: list[float]


@dataclass(frozen=True)
class Row:
    """A target of the project beside what was measured.

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


@dataclass
class Results:
    """Everything that one run measured; parts that were left out are empty.

    Attributes:
        about: The command, the machine and the versions.
        settings: What was asked for.
        times: Times of painting.
        flops: Operations of an image: ``stage``, ``published sampler`` (the same network) and ``published`` (its own).
        split: For each image size, milliseconds an image of each part of a synthesis.
        memory: For each image size and batch size, MB at the peak of a synthesis; None where the system does not tell.
        regions: See :func:`~anomalib_stage.evaluation.speed.regions.region_rate`.
        training: For each model the fields of :class:`~anomalib_stage.evaluation.speed.training.StepTimes`, and
            ``share``.
    """

    about: dict[str, str]
    settings: dict[str, Any]
    times: list[Time] = field(default_factory=list)
    flops: dict[str, Any] = field(default_factory=dict)
    split: dict[int, dict[str, float]] = field(default_factory=dict)
    memory: list[dict[str, Any]] = field(default_factory=list)
    regions: dict[str, float] = field(default_factory=dict)
    training: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        """Whether it was measured on a CUDA device."""
        return str(self.settings["device"]).startswith("cuda")

    def milliseconds(self, source: str, size: int, **wanted: int) -> float | None:
        """Return the time of an image, if it was measured."""
        wanted = {"steps": self.settings["steps"], "batch_size": self.settings["batch_size"]} | wanted
        if source in (PERLIN, REFERENCE):
            wanted = {}
        for time in self.times:
            if (time.source, time.size) == (source, size) and asdict(time).items() >= wanted.items():
                return time.milliseconds
        return None

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data, with the targets."""
        return asdict(self) | {"targets": [asdict(row) for row in self.targets()]}

    def targets(self) -> list[Row]:
        """Judge what was measured."""
        return [*self._against_perlin(), *self._across_sizes(), *self._against_published(), *self._elsewhere()]

    def _against_perlin(self) -> Iterator[Row]:
        for size, most in ((BASE, None), (512, 1.0), (1024, 0.3), (2048, 0.1)):
            ours, free = self.milliseconds(STAGE, size), self.milliseconds(PERLIN, size)
            what = f"time of an image at {size} px, Perlin noise = 1"
            yield _at_most(what, ours / free if ours and free else None, None if self.cuda else most, unit="times")

    def _across_sizes(self) -> Iterator[Row]:
        large = max(self.settings["sizes"])
        for source, what, most in (
            (SAME, "the same defect", 1.2),
            (STAGE, "a defect that grows with the image, as by default", None),
        ):
            times = [self.milliseconds(source, size) for size in (large, BASE)]
            ratio = times[0] / times[1] if large > BASE and times[0] and times[1] else None
            yield _at_most(f"time at {large} px, {BASE} px = 1: {what}", ratio, most, unit="times")

    def _against_published(self) -> Iterator[Row]:
        ours, theirs = (self.milliseconds(source, BASE) for source in (STAGE, REFERENCE))
        counts = self.flops
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

    def _elsewhere(self) -> Iterator[Row]:
        for name, most in (("Draem", 5.0 if self.cuda else 3.0), ("Supersimplenet", None)):
            share = self.training.get(name, {}).get("share")
            size, batch = self.settings["train_size"], self.settings["train_batch_size"]
            what = f"what `StageAugment` adds to a {name} step, {size} px, batch {batch}"
            yield _at_most(what, None if share is None else 100 * share, most, unit="%")
        memory = {(row["size"], row["batch_size"]): row["megabytes"] for row in self.memory}
        peak = memory.get((BASE, 32))
        yield _at_most(f"memory of a synthesis, {BASE} px, batch 32", peak, 500 if self.cuda else None, unit="MB")
        rate, floor = self.regions.get("per_second"), self.regions.get("times_floor")
        yield _at_least("regions of 64 px a second, 10 steps", rate, 2000 if self.cuda else None, unit="/s")
        yield _at_most(
            "time of such a region, its arithmetic alone = 1", floor, 3.0 if self.cuda else None, unit="times"
        )


def _number(value: float, unit: str) -> str:
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits}{'' if unit in ('%', '/s') else ' '}{unit}"


def _at_most(what: str, value: float | None, most: float | None, *, unit: str) -> Row:
    return _judged(what, value, most, unit=unit, sign="≤", met=None not in (value, most) and value <= most)  # type: ignore[operator]


def _at_least(what: str, value: float | None, least: float | None, *, unit: str) -> Row:
    return _judged(what, value, least, unit=unit, sign="≥", met=None not in (value, least) and value >= least)  # type: ignore[operator]


def _judged(what: str, value: float | None, bound: float | None, *, unit: str, sign: str, met: bool) -> Row:
    return Row(
        what,
        None if value is None else _number(value, unit),
        None if bound is None else f"{sign} {_number(bound, unit)}",
        met if value is not None and bound is not None else None,
    )
