# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Painted places have the grain of the surface under them; what is painted stays."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anomalib_stage.synthesis.blend.grain import match_grain

SIDE = 48
INTACT, ANOMALY = torch.tensor([True]), torch.tensor([False])


def _noise(seed: int, deviation: float, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return deviation * torch.randn(1, channels, SIDE, SIDE, generator=generator)


def _box(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    mask[..., top:bottom, left:right] = True
    return mask


def _fine(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """High-pass of a picture in the middle of a mask."""
    inner = -F.max_pool2d(-mask.float(), 5, stride=1, padding=2) > 0
    return (image - F.avg_pool2d(image, 3, stride=1, padding=1))[inner.expand_as(image)]


@pytest.mark.parametrize("intact", [INTACT, ANOMALY])
def test_only_the_mask_changes(intact: torch.Tensor):
    clean, painted, mask = 0.5 + _noise(0, 0.02), 0.3 + _noise(1, 0.1), _box(8, 40, 12, 30)
    outside = ~mask.expand_as(clean)
    assert torch.equal(match_grain(painted, clean, mask, intact=intact)[outside], painted[outside])


def test_grain_of_intact_surface_is_the_clean_grain():
    clean, painted, mask = 0.5 + _noise(0, 0.02), 0.45 + _noise(1, 0.08), _box(8, 40, 8, 40)
    result = match_grain(painted, clean, mask, intact=INTACT)
    told, clean_grain = _fine(result, mask), _fine(clean, mask)
    assert float(told.std() / clean_grain.std()) == pytest.approx(1.0, abs=0.1)
    assert float(torch.corrcoef(torch.stack([told, clean_grain]))[0, 1]) > 0.95
    inside = mask.expand_as(clean)
    assert float(result[inside].mean()) == pytest.approx(float(painted[inside].mean()), abs=2e-3)


def test_colour_noise_of_the_network_goes_also_from_anomalies():
    grain = _noise(0, 0.02, channels=1).expand(-1, 3, -1, -1)  # grey grain, as of a camera that smooths colour
    clean, painted, mask = 0.5 + grain, 0.3 + _noise(1, 0.05), _box(8, 40, 8, 40)
    colour = lambda image: _fine(image - image.mean(dim=1, keepdim=True), mask).std()  # noqa: E731
    result = match_grain(painted, clean, mask, intact=ANOMALY)
    assert float(colour(result)) < 0.4 * float(colour(painted))


def test_a_thin_line_in_a_wide_mask_stays():
    clean, mask = 0.5 + _noise(0, 0.02, channels=1).expand(-1, 3, -1, -1), _box(8, 40, 8, 40)
    painted = clean.clone()
    painted[..., 24, 8:40] -= 0.3
    kept = (clean - match_grain(painted, clean, mask, intact=ANOMALY))[..., 24, 12:36].mean()
    gone = (clean - match_grain(painted, clean, mask, intact=INTACT))[..., 24, 12:36].mean()
    assert float(kept) > 0.27
    assert float(gone) < 0.15


@pytest.mark.parametrize("width", [1, 2, 3])
def test_thin_masks_keep_their_tone(width: int):
    clean, mask = 0.5 + _noise(0, 0.01), _box(20, 20 + width, 4, 44)
    painted = torch.where(mask, torch.tensor(0.2), clean)
    for intact in (INTACT, ANOMALY):
        result = match_grain(painted, clean, mask, intact=intact)
        assert float(result[mask.expand_as(clean)].mean()) == pytest.approx(0.2, abs=1e-3)


def test_one_pixel_keeps_its_value():
    clean, painted, mask = 0.5 + _noise(0, 0.05), 0.2 + _noise(1, 0.05), _box(20, 21, 20, 21)
    torch.testing.assert_close(match_grain(painted, clean, mask, intact=ANOMALY), painted, atol=1e-6, rtol=0)


def test_grey_stays_grey_and_samples_do_not_depend_on_others():
    grey = lambda seed, deviation: _noise(seed, deviation, channels=1).expand(-1, 3, -1, -1)  # noqa: E731
    clean = torch.cat([0.5 + grey(0, 0.02), 0.5 + _noise(2, 0.05)])
    painted = torch.cat([0.3 + grey(1, 0.1), 0.7 + _noise(3, 0.01)])
    mask, intact = torch.cat([_box(8, 40, 8, 40), _box(0, 9, 30, 48)]), torch.tensor([False, True])
    both = match_grain(painted, clean, mask, intact=intact)
    assert torch.equal(both[0, 0], both[0, 1])
    for i in range(2):
        part = slice(i, i + 1)
        alone = match_grain(painted[part], clean[part], mask[part], intact=intact[part])
        torch.testing.assert_close(both[part], alone, atol=1e-6, rtol=0)
