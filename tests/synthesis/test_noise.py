# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.settings import NoiseSettings
from anomalib_stage.synthesis.noise import region_noise, surround_fill

OFFSET = NoiseSettings(offset=0.4)


def test_without_an_offset_the_noise_is_the_white_noise_of_the_seeds() -> None:
    white = region_noise((12, 8, 8), generators([3, 4], "n"), settings=NoiseSettings())
    assert torch.equal(white, standard_normal((12, 8, 8), generators([3, 4], "n")))


@pytest.mark.parametrize("side", [24, 40, 64])
def test_an_offset_keeps_mean_and_variance_and_moves_whole_regions(side: int) -> None:
    noise = region_noise((12, side, side), generators(range(400), "n"), settings=OFFSET)
    assert noise.mean().abs() < 0.06
    assert 0.93 < noise.var() < 1.07
    share = (0.16 + 0.04) / 1.2
    assert noise.mean(dim=(2, 3)).std().item() == pytest.approx(share**0.5, rel=0.12)


def test_the_cells_of_a_colour_share_their_offset_and_colours_differ_a_little() -> None:
    means = region_noise((12, 32, 32), generators(range(800), "n"), settings=OFFSET).mean(dim=(2, 3))
    same, other = (torch.corrcoef(means[:, pair].T)[0, 1] for pair in ([0, 1], [0, 4]))
    assert same > 0.98
    assert 0.7 < other < 0.9


@given(seeds=st.lists(st.integers(0, 999), min_size=1, max_size=3), offset=st.floats(0.0, 2.0), side=st.integers(1, 40))
def test_a_sample_has_the_same_noise_alone_and_in_a_batch(seeds: list[int], offset: float, side: int) -> None:
    settings = NoiseSettings(offset=offset)
    together = region_noise((12, side, side + 3), generators(seeds, "n"), settings=settings)
    alone = [region_noise((12, side, side + 3), generators([seed], "n"), settings=settings) for seed in seeds]
    assert torch.equal(together, torch.cat(alone))


def test_a_plain_surface_goes_on_through_the_hole() -> None:
    clean = torch.tensor([0.5, -0.2, 0.9]).view(1, 3, 1, 1).expand(1, 3, 40, 24).clone()
    mask = torch.zeros_like(clean)
    mask[..., 3:37, 2:22] = 1.0
    torch.testing.assert_close(surround_fill(clean, mask), clean)


def test_a_shaded_surface_goes_on_smoothly() -> None:
    rows, cols = torch.meshgrid(torch.linspace(-0.8, 0.8, 48), torch.linspace(-0.5, 0.5, 48), indexing="ij")
    clean = (rows + cols)[None, None].expand(1, 3, -1, -1).contiguous()
    mask = torch.zeros_like(clean)
    mask[..., 14:34, 14:34] = 1.0
    filled = surround_fill(clean, mask)
    assert (filled - clean).abs().max() < 0.35
    assert (filled - clean).abs().mean() < 0.02


@given(seed=st.integers(0, 1000), height=st.integers(1, 50), width=st.integers(1, 50), share=st.floats(0.0, 1.0))
def test_the_fill_never_reads_the_hole_and_stays_in_range(seed: int, height: int, width: int, share: float) -> None:
    stream = torch.Generator().manual_seed(seed)
    clean = torch.rand((2, 3, height, width), generator=stream) * 2.0 - 1.0
    mask = (torch.rand((2, 1, height, width), generator=stream) < share).float().expand_as(clean)
    filled = surround_fill(clean, mask)
    other = surround_fill(torch.where(mask > 0, torch.full_like(clean, 7.0), clean), mask)
    torch.testing.assert_close(filled, other)
    torch.testing.assert_close(torch.where(mask > 0, clean, filled), clean)
    assert filled.abs().max() <= 1.0 + 1e-5
