# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How many regions a second the painter makes, against what the arithmetic alone would take."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import torch

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.evaluation.speed.instruments.arithmetic import count_flops, measure_multiplication_rate
from anomalib_stage.evaluation.speed.instruments.clock import now
from anomalib_stage.evaluation.speed.timed_images import render_timed_images
from anomalib_stage.pipeline.jobs import Job
from anomalib_stage.pipeline.region_painter import RegionPainter, load_backbone
from anomalib_stage.settings import SamplerSettings, SynthesisSettings

if TYPE_CHECKING:
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["SIDE", "STEPS", "measure_region_rate"]

SIDE = 64
"""Side of the regions in pixels."""

STEPS = 10


def measure_region_rate(bundle: StageBundle, device: torch.device, *, count: int, rounds: int) -> dict[str, float]:
    """Paint regions of 64 px, all at once, in 10 steps.

    Args:
        bundle (StageBundle): Weights.
        device (torch.device): Where to paint.
        count (int): Regions in a call.
        rounds (int): Calls.

    Returns:
        dict[str, float]: ``per_second`` (median), ``flops`` of a region, ``rate`` of large matrix products in
        operations a second in the type that the network computes in, and ``times_floor``: how many times as long as the
        operations alone would take at that rate.
    """
    settings = SynthesisSettings(sampler=SamplerSettings(steps=STEPS))
    backbone = load_backbone(bundle, device=device, settings=settings)
    painter = RegionPainter(backbone, device=device, settings=settings)
    image = render_timed_images(SIDE, 1).to(device)
    inside = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    inside[:, 12:52, 12:52] = True  # with its margin, and rounded up, the region is the image
    defect = bundle.manifest.defects[0].name
    jobs = [Job(0, defect, seed, inside) for seed in range(count)]
    flops = count_flops(lambda: painter.paint(image, jobs[:1]))
    seconds = []
    for _ in range(rounds + 1):
        begin = now(device)
        painter.paint(image, jobs)
        seconds.append(now(device) - begin)
    each = statistics.median(seconds[1:]) / count
    rate = measure_multiplication_rate(device, torch.bfloat16 if bf16_is_fast(device) else torch.float32)
    return {"per_second": 1.0 / each, "flops": float(flops), "rate": rate, "times_floor": each * rate / flops}
