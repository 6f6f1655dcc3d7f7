# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Appearances: what is measured is what was there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.synthesis.appearance.appearance import APPEARANCE_COLUMNS, compute_context, measure_appearance
from anomalib_stage.synthesis.appearance.hole_filling import fill_hole
from anomalib_stage.synthesis.diffusion.codec import PixelCodec

CODEC = PixelCodec(2)


def _measure(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Rows of ``APPEARANCE_COLUMNS`` of images ``(B, 3, H, W)`` in [0, 1]."""
    latent, hole = CODEC.encode(image), CODEC.encode_mask(mask)
    filled = fill_hole(latent, hole)
    return torch.cat([compute_context(filled, hole), measure_appearance(latent, hole, filled)], dim=1)


def _square(side: int, at: slice) -> torch.Tensor:
    mask = torch.zeros(1, 1, side, side, dtype=torch.bool)
    mask[..., at, at] = True
    return mask


@given(
    surface=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    body=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    size=st.integers(1, 20),
)
def test_an_even_body_on_an_even_surface_is_measured_exactly(surface: list, body: list, size: int) -> None:
    mask = _square(32, slice(5, 5 + size))
    image = torch.where(mask, torch.tensor(body).view(1, 3, 1, 1), torch.tensor(surface).view(1, 3, 1, 1))
    row = dict(zip(APPEARANCE_COLUMNS, _measure(image, mask)[0].tolist(), strict=True))
    for i, colour in enumerate("rgb"):
        assert row[f"level_{colour}"] == pytest.approx(2 * surface[i] - 1, abs=1e-4)
        assert row[f"shift_{colour}"] == pytest.approx(2 * (body[i] - surface[i]), abs=1e-4)
    assert row["size"] == pytest.approx(2 * np.log2(size), abs=1e-4)
    assert row["contrast"] < 1e-3


def test_contrast_is_the_deviation_inside_the_body() -> None:
    mask = _square(64, slice(16, 48))
    image = torch.full((1, 3, 64, 64), 0.5)
    image[..., 16:48, 16:32], image[..., 16:48, 32:48] = 0.25, 0.75
    row = _measure(image, mask)[0]
    assert row[5:8].abs().max() < 1e-4
    assert row[8].item() == pytest.approx(0.5, abs=1e-3)


def test_a_sample_is_measured_alike_alone_and_in_a_batch() -> None:
    images = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    masks = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(1)) > 0.6
    together = _measure(images, masks)
    alone = torch.cat([_measure(images[i : i + 1], masks[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
