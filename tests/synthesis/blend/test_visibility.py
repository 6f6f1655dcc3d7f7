# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.synthesis.blend.nearby_texture import measure_nearby_texture
from anomalib_stage.synthesis.blend.visibility import measure_visibility


def surface(seed: int, *, grain: float, count: int = 1) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return (0.5 + grain * torch.randn((count, 3, 48, 48), generator=stream)).clamp(0.0, 1.0)


def square(side: int, *, count: int = 1) -> torch.Tensor:
    mask = torch.zeros((count, 1, 48, 48), dtype=torch.bool)
    mask[:, :, 20 : 20 + side, 20 : 20 + side] = True
    return mask


@pytest.mark.parametrize("grain", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("side", [1, 3, 12])
def test_no_change_has_no_visibility(grain: float, side: int) -> None:
    clean = surface(0, grain=grain)
    seen = measure_visibility(clean, clean.clone(), square(side))
    assert seen.score.item() == 0.0
    assert not seen.seen.any()


@pytest.mark.parametrize("grain", [0.02, 0.05, 0.1])
def test_good_surface_over_good_surface_is_about_one_unit_or_less(grain: float) -> None:
    clean, mask = surface(1, grain=grain, count=16), square(12, count=16)
    painted = torch.where(mask, surface(2, grain=grain, count=16), clean)
    score = measure_visibility(clean, painted, mask).score
    assert score.max() < 1.5
    assert score.mean() > 0.5


@pytest.mark.parametrize("side", [1, 2, 4, 16])
def test_a_dark_spot_is_as_visible_when_it_is_tiny(side: int) -> None:
    clean, mask = surface(3, grain=0.01), square(side)
    seen = measure_visibility(clean, torch.where(mask, 0.2, clean), mask)
    assert seen.score.item() > 8.0
    assert seen.agreement.item() == 1.0
    assert torch.equal(seen.seen, mask)


def test_the_same_change_is_less_visible_on_a_rougher_surface() -> None:
    scores = []
    for grain in (0.0, 0.02, 0.08):
        clean, mask = surface(4, grain=grain), square(12)
        scores.append(measure_visibility(clean, torch.where(mask, clean - 0.1, clean), mask).score.item())
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 2 * scores[2]


def test_a_change_of_colour_alone_is_seen() -> None:
    clean, mask = torch.full((1, 3, 48, 48), 0.5), square(12)
    painted = clean + mask * torch.tensor([0.1, -0.1, 0.0]).view(1, 3, 1, 1)
    assert measure_visibility(clean, painted, mask).score.item() > 5.0


def test_only_the_changed_part_of_the_mask_agrees() -> None:
    clean, mask = surface(5, grain=0.01), square(20)
    painted = clean.clone()
    painted[..., 20:30, 20:40] -= 0.3
    seen = measure_visibility(clean, painted, mask)
    assert 0.45 < seen.agreement.item() < 0.6
    assert seen.seen[..., 21:29, 21:39].all()
    assert not seen.seen[..., 32:, :].any()


def test_an_empty_mask_has_no_visibility() -> None:
    clean = surface(6, grain=0.02)
    seen = measure_visibility(clean, 1.0 - clean, torch.zeros((1, 1, 48, 48), dtype=torch.bool))
    assert seen.score.item() == seen.agreement.item() == 0.0


@given(seed=st.integers(0, 999), share=st.floats(0.0, 1.0), strength=st.floats(0.0, 1.0))
def test_what_is_seen_lies_in_the_mask_and_no_sample_depends_on_another(
    seed: int, share: float, strength: float
) -> None:
    stream = torch.Generator().manual_seed(seed)
    clean, other = torch.rand((2, 3, 3, 24, 32), generator=stream)
    mask = torch.rand((3, 1, 24, 32), generator=stream) < share
    painted = torch.where(mask, clean + strength * (other - clean), clean)
    together = measure_visibility(clean, painted, mask)
    assert not (together.seen & ~mask).any()
    assert ((together.agreement >= 0.0) & (together.agreement <= 1.0)).all()
    for i in range(3):
        alone = measure_visibility(clean[i : i + 1], painted[i : i + 1], mask[i : i + 1])
        torch.testing.assert_close(alone.score[0], together.score[i])
        assert torch.equal(alone.seen[0], together.seen[i])


def test_texture_near_the_mask_hides_and_texture_far_from_it_does_not() -> None:
    half = torch.arange(96).expand(96, 96) < 48
    clean = torch.where(half, surface_of(96, grain=0.0), surface_of(96, grain=0.1))
    on_even, on_rough = torch.zeros((2, 1, 1, 96, 96), dtype=torch.bool)
    on_even[..., 40:46, 8:14], on_rough[..., 40:46, 82:88] = True, True
    even, rough = (
        measure_visibility(clean, torch.where(mask, clean - 0.1, clean), mask).score.item()
        for mask in (on_even, on_rough)
    )
    whole = measure_visibility(surface_of(96, grain=0.0), surface_of(96, grain=0.0) - 0.1 * on_even, on_even)
    assert even == pytest.approx(whole.score.item(), rel=1e-5)
    assert rough < 0.3 * even


def test_texture_may_be_measured_on_a_wider_piece() -> None:
    clean, mask = surface(6, grain=0.03), square(8)
    painted = torch.where(mask, clean - 0.1, clean)
    cut = (..., slice(12, 36), slice(12, 36))
    whole = measure_visibility(clean, painted, mask).score
    texture = measure_nearby_texture(clean, mask)
    part = measure_visibility(clean[cut], painted[cut], mask[cut], texture=texture).score
    assert torch.allclose(whole, part, rtol=1e-5)
    assert texture.item() == pytest.approx(0.03 * (1 / 9 - 1 / 81) ** 0.5, rel=0.25)


def surface_of(side: int, *, grain: float) -> torch.Tensor:
    return (0.5 + grain * torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(5))).clamp(0.0, 1.0)
