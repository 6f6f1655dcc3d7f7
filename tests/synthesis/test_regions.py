# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Regions, codec and compositing: exact to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.blend.composite import composite
from anomalib_stage.synthesis.diffusion.codec import PixelCodec
from anomalib_stage.synthesis.regions import Region, choose_side, crop, find_region

SIZES = st.tuples(st.integers(32, 200), st.integers(32, 200))
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    height, width = draw(SIZES)
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask, (top, left, bottom, right)


@PROPERTY
@given(boxes(), st.integers(4, 32))
def test_a_region_holds_its_mask_and_stays_inside_where_it_fits(case: tuple, margin: int) -> None:
    mask, (top, left, bottom, right) = case
    region = find_region(mask, margin=margin)
    assert region.top <= top
    assert region.left <= left
    assert region.top + region.height >= bottom
    assert region.left + region.width >= right
    for start, side, size in (
        (region.top, region.height, mask.shape[0]),
        (region.left, region.width, mask.shape[1]),
    ):
        assert side % 16 == 0
        if side <= size:
            assert 0 <= start <= size - side


@PROPERTY
@given(boxes())
def test_crop_then_composite_is_the_identity_and_changes_only_the_mask(case: tuple) -> None:
    mask, _ = case
    image = torch.rand(3, *mask.shape, generator=torch.Generator().manual_seed(0))
    region = find_region(mask, margin=16)
    same, other = image.clone(), image.clone()
    tensor_mask = torch.from_numpy(mask)[None]
    patch = crop(image, region)
    assert patch.shape == (3, region.height, region.width)
    inside = crop(tensor_mask, region)
    composite(same, patch, mask=inside, region=region)
    assert torch.equal(same, image)
    composite(other, torch.full_like(patch, 2.0), mask=inside, region=region)
    assert torch.equal((other == 2.0).all(dim=0), tensor_mask[0])
    assert torch.equal(other[:, ~tensor_mask[0]], image[:, ~tensor_mask[0]])


def test_a_region_beyond_the_border_shows_the_mirrored_image() -> None:
    image = torch.arange(5.0).view(1, 1, 5).expand(1, 5, 5)
    cut = crop(image, Region(0, -3, 5, 11))
    assert cut[0, 0].tolist() == [3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("length", "side"), [(1, 48), (16, 48), (32, 64), (33, 80), (200, 256), (480, 512), (481, 640)]
)
def test_region_sides_come_from_a_short_ladder(length: int, side: int) -> None:
    assert choose_side(length, margin=16) == side


def test_an_empty_mask_has_no_region() -> None:
    with pytest.raises(InputError, match="empty"):
        find_region(np.zeros((40, 40), dtype=np.bool_), margin=8)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_pixel_codec_is_lossless_and_its_masks_exact(factor: int) -> None:
    codec = PixelCodec(factor)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 16, 24), generator=generator).float() / 255
    assert torch.equal((codec.decode(codec.encode(images)) * 255).round(), (images * 255).round())
    masks = torch.rand(2, 1, 16, 24, generator=generator) > 0.5
    latent = codec.encode_mask(masks)
    assert latent.shape == codec.encode(images).shape
    # a latent cell is on exactly where its pixel is on
    painted = torch.where(latent.bool(), 1.0, -1.0)
    assert torch.equal(codec.decode(painted)[:, :1].bool(), masks)


def test_a_factor_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="factor is 0"):
        PixelCodec(0)
