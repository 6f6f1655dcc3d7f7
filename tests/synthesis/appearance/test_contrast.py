# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates are held to the wanted colour and contrast."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.synthesis.appearance.appearance import measure_appearance
from anomalib_stage.synthesis.appearance.contrast import compute_contrast_limits, limit_contrast
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole


@given(seed=st.integers(0, 999), wanted=st.floats(0.0, 0.5), shift=st.floats(-0.5, 0.5))
def test_an_estimate_held_to_an_appearance_has_its_colour_and_no_more_contrast(
    seed: int, wanted: float, shift: float
) -> None:
    stream = torch.Generator().manual_seed(seed)
    estimate, clean = (torch.rand(2, 12, 16, 16, generator=stream) * 2 - 1 for _ in range(2))
    mask = (torch.rand(2, 1, 16, 16, generator=stream) > 0.5).float().expand(-1, 12, -1, -1)
    filled = fill_hole(0.1 * clean, mask)
    expected = filled + mask * shift
    allowed = compute_contrast_limits(mask, expected, torch.full((2,), wanted))
    held = limit_contrast(estimate, mask, expected, allowed)
    appearances = measure_appearance(held, mask, filled)
    torch.testing.assert_close(appearances[:, :3], torch.full((2, 3), shift), atol=1e-4, rtol=0)
    uneven = measure_appearance(expected, mask, torch.zeros_like(expected))[:, 3]
    assert bool((appearances[:, 3] <= (uneven.square() + wanted**2).sqrt() + 1e-4).all())
    assert torch.equal(torch.where(mask > 0, estimate, held), estimate)
    torch.testing.assert_close(limit_contrast(held, mask, expected, allowed), held, atol=1e-4, rtol=0)
