# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The surface's own texture goes on under large anomalies."""

from __future__ import annotations

import pytest
import torch

from anomalib_stage.synthesis.appearance.texture_transfer import compute_texture_weight, transfer_texture


@pytest.mark.parametrize(("pixels", "share"), [(1, 0.0), (400, 0.0), (980, 0.5), (2400, 1.0), (9000, 1.0)])
def test_large_anomalies_keep_the_texture_and_small_ones_do_not(pixels: int, share: float) -> None:
    mask = torch.zeros(1, 12, 60, 60)  # four cells of three colours
    mask.view(1, 3, -1)[:, :, :pixels] = 1.0
    assert compute_texture_weight(mask).item() == pytest.approx(share, abs=0.01)


def test_a_stain_has_the_tone_asked_for_and_the_texture_of_the_surface() -> None:
    stream = torch.Generator().manual_seed(0)
    texture = 0.05 * torch.randn((1, 3, 64, 64), generator=stream)
    fill = torch.full_like(texture, 0.2)
    for shift, gain in ((0.0, 1.0), (-0.6, 0.5), (0.3, 1.25), (-1.2, 0.25), (0.7, 1.5)):
        found = transfer_texture(fill + texture, fill, fill + shift)
        torch.testing.assert_close(found, (fill + shift + gain * texture).clamp(-1, 1), atol=1e-5, rtol=0)


def test_a_stain_stays_in_range_on_black_and_on_white() -> None:
    clean = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    for shift in (-1.0, 0.0, 1.0):
        found = transfer_texture(clean, clean, (clean + shift).clamp(-1, 1))
        assert found.abs().max() <= 1.0
        assert torch.isfinite(found).all()
