# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces go on through holes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.synthesis.appearance.hole_filling import fill_hole


def test_a_plain_surface_goes_on_through_the_hole() -> None:
    clean = torch.tensor([0.5, -0.2, 0.9]).view(1, 3, 1, 1).expand(1, 3, 40, 24).clone()
    mask = torch.zeros_like(clean)
    mask[..., 3:37, 2:22] = 1.0
    torch.testing.assert_close(fill_hole(clean, mask), clean)


def test_a_shaded_surface_goes_on_smoothly() -> None:
    rows, cols = torch.meshgrid(torch.linspace(-0.8, 0.8, 48), torch.linspace(-0.5, 0.5, 48), indexing="ij")
    clean = (rows + cols)[None, None].expand(1, 3, -1, -1).contiguous()
    mask = torch.zeros_like(clean)
    mask[..., 14:34, 14:34] = 1.0
    filled = fill_hole(clean, mask)
    assert (filled - clean).abs().max() < 0.35
    assert (filled - clean).abs().mean() < 0.02


@given(seed=st.integers(0, 1000), height=st.integers(1, 50), width=st.integers(1, 50), share=st.floats(0.0, 1.0))
def test_the_fill_never_reads_the_hole_and_stays_in_range(seed: int, height: int, width: int, share: float) -> None:
    stream = torch.Generator().manual_seed(seed)
    clean = torch.rand((2, 3, height, width), generator=stream) * 2.0 - 1.0
    mask = (torch.rand((2, 1, height, width), generator=stream) < share).float().expand_as(clean)
    filled = fill_hole(clean, mask)
    other = fill_hole(torch.where(mask > 0, torch.full_like(clean, 7.0), clean), mask)
    torch.testing.assert_close(filled, other)
    torch.testing.assert_close(torch.where(mask > 0, clean, filled), clean)
    assert filled.abs().max() <= 1.0 + 1e-5
