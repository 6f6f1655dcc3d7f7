# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of two levels keep two."""

from __future__ import annotations

import pytest
import torch

from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import MaskSettings, SynthesisSettings
from anomalib_stage.synthesis.blend.two_level import find_two_levels, quantize_two_level


def _board(side: int = 96, *, dark: tuple[float, ...] = (0.0,), light: tuple[float, ...] = (1.0,)) -> torch.Tensor:
    tracks = (torch.arange(side) // 8 % 2).bool().expand(side, side)
    colour = lambda value: torch.tensor(value).expand(3).view(3, 1, 1)  # noqa: E731
    return torch.where(tracks, colour(light), colour(dark)).clone()


@pytest.mark.parametrize(("dark", "light"), [((0.0,), (1.0,)), ((0.1, 0.2, 0.3), (0.9, 0.2, 0.1))])
def test_two_levels_are_found(dark: tuple[float, ...], light: tuple[float, ...]):
    image = _board(dark=dark, light=light) + 0.01 * torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([dark, light]).expand(2, 3)
    torch.testing.assert_close(find_two_levels(image), ends, atol=0.011, rtol=0)


def test_other_pictures_have_none():
    generator = torch.Generator().manual_seed(0)
    grey = _board()
    grey[:, :, 40:44] = 0.5  # a third level on 4 % of the picture
    for image in (torch.rand(3, 64, 64, generator=generator), torch.full((3, 64, 64), 0.3), grey):
        assert bool(find_two_levels(image).isnan().all())


def test_masked_pixels_take_the_nearer_level_and_others_stay():
    painted = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    mask[:, :, 4:12, 4:12] = True
    levels = torch.tensor([[[0.1, 0.1, 0.1], [0.8, 0.8, 0.8]], [[torch.nan] * 3] * 2])
    result = quantize_two_level(painted, mask, levels)
    assert torch.equal(result[1], painted[1])
    inside = mask[:1].expand(-1, 3, -1, -1)
    assert torch.equal(result[:1][~inside], painted[:1][~inside])
    assert set(result[:1][inside].tolist()) == set(torch.tensor([0.1, 0.8]).tolist())
    assert torch.equal(result[0, 0, 4:12, 4:12] > 0.5, painted[0].mean(dim=0)[4:12, 4:12] > 0.45)


def test_a_board_stays_black_and_white():
    images = torch.stack([_board(), _board().transpose(1, 2)])
    settings = SynthesisSettings(masks=MaskSettings(foreground="none"))
    pair = StageSynthesizer.from_pretrained("default", device="cpu", synthesis=settings)(images, seeds=[3, 4])
    assert bool(pair.label.any())
    assert set(pair.image.unique().tolist()) == {0.0, 1.0}
    changed = (pair.image != images).any(dim=1, keepdim=True)
    assert bool((changed <= pair.mask).all())
    grown = torch.nn.functional.max_pool2d(changed.float(), 3, stride=1, padding=1) > 0
    assert bool((pair.mask <= grown).all())  # nothing is masked but what has changed, and gaps in it
