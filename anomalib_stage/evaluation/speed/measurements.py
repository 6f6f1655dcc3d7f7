# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["BASE", "NAMES", "PERLIN", "REFERENCE", "SAME", "STAGE", "Measurements", "Time"]

STAGE, SAME, PERLIN, REFERENCE = "stage", "stage, same defect", "perlin", "published sampler"
"""Ways to an anomalous image; ``SAME``: the defects have the size in pixels that they have at 256 px."""

NAMES = {
    STAGE: "default bundle, {steps} steps",
    SAME: "the same, defects of one size in pixels",
    PERLIN: "anomalib's Perlin noise",
    REFERENCE: "published sampler, this network, whole image",
}
"""What tables and plots call them."""

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


@dataclass
class Measurements:
    """Everything that one run measured; parts that were left out are empty.

    Attributes:
        about: The command, the machine and the versions.
        settings: What was asked for.
        times: Times of painting.
        flops: Operations of an image: ``stage``, ``published sampler`` (the same network) and ``published`` (its own).
        split: For each image size, milliseconds an image of each part of a synthesis.
        memory: For each image size and batch size, MB at the peak of a synthesis; None where the system does not tell.
        regions: See :func:`~anomalib_stage.evaluation.speed.regions.measure_region_rate`.
        training: For each model ``share`` and the fields of
            :class:`~anomalib_stage.evaluation.speed.instruments.step_clock.StepTimes`.
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

    def find_time(self, source: str, size: int, **wanted: int) -> float | None:
        """Return the time of an image, if it was measured."""
        wanted = {"steps": self.settings["steps"], "batch_size": self.settings["batch_size"]} | wanted
        if source in (PERLIN, REFERENCE):
            wanted = {}
        for time in self.times:
            if (time.source, time.size) == (source, size) and asdict(time).items() >= wanted.items():
                return time.milliseconds
        return None
