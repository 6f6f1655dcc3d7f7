# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of another material."""

from __future__ import annotations

import numpy as np

from anomalib_stage.synthesis.appearance.colour_shift import draw_colour_shift


def test_what_is_of_another_material_has_any_colour_but_not_where_all_is_grey() -> None:
    context = np.array([-0.6, 0.1, 0.7, 6.0, -4.0], dtype=np.float32)
    shifts = [draw_colour_shift(context, rng=np.random.default_rng(seed)) for seed in range(200)]
    colours = np.stack([shift for shift in shifts if shift is not None]) + context[:3]
    assert len(colours) == 200
    assert colours.min() >= -1.0
    assert colours.max() <= 1.0
    assert set(colours.argmax(axis=1).tolist()) == {0, 1, 2}
    saturation = np.ptp(colours, axis=1) / (colours.max(axis=1) + 1.0)
    assert np.median(saturation) < 0.4
    assert saturation.max() > 0.6
    grey = np.array([0.2, 0.2, 0.2, 6.0, -4.0], dtype=np.float32)
    assert draw_colour_shift(grey, rng=np.random.default_rng(0)) is None
