# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Intact surface that the default bundle paints again can hardly be told from untouched surface."""

from __future__ import annotations

import numpy as np

from anomalib_stage.metrics.crops import Crop, cut_crops
from anomalib_stage.metrics.traces.univariate_detectors import measure_univariate_traces
from anomalib_stage.pipeline.synthesizer import GOOD, StageSynthesizer
from anomalib_stage.preview.rows import paint_rows
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.settings import SynthesisSettings

SURFACES = 24


def _cuts(*, match_grain: bool) -> tuple[list[Crop], list[Crop]]:
    """Regions of rendered surfaces, repainted and untouched."""
    settings = SynthesisSettings(match_grain=match_grain)
    synthesizer = StageSynthesizer.from_pretrained("default", device="cpu", synthesis=settings)
    repainted: list[Crop] = []
    untouched: list[Crop] = []
    for i in range(SURFACES):
        rng = numpy_generator(7, "surface", i)
        level = np.asarray(render_surface((96, 96), rng=rng), dtype=np.float32)
        image = (level * 255.0).round().astype(np.uint8)
        [row] = paint_rows(synthesizer, [image], defects=[GOOD], seeds=[i])
        repainted += cut_crops(row.after, row.painted, defect=GOOD, source=i)
        untouched += cut_crops(row.before, row.painted, defect=GOOD, source=i)
    return repainted, untouched


def test_its_own_grain_takes_the_trace_out_of_painted_surface():
    worst = {
        own: max(trace.auroc for trace in measure_univariate_traces(*_cuts(match_grain=own)).values())
        for own in (False, True)
    }
    assert worst[False] > 0.7  # a single statistic tells them
    assert worst[True] < 0.66
