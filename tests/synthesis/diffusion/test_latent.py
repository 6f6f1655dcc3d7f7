# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the latent backbone: codec, denoiser, residual adapter, colour matching."""

from __future__ import annotations

import pytest
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.blend.colour_match import match_colour
from anomalib_stage.synthesis.diffusion.adapter import ResidualAdapter
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.latent_codec import LatentCodec
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from tests.tiny_latent import CONTEXT, tiny_unet, tiny_vae


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_codec_scales_and_shifts_as_the_configuration_says() -> None:
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    plain = LatentCodec(tiny_vae(scaling_factor=1.0))
    moved = LatentCodec(tiny_vae(scaling_factor=0.5, shift_factor=0.25))
    z = plain.encode(images)
    assert z.shape == (2, 4, 16, 24)
    torch.testing.assert_close(moved.encode(images), (z - 0.25) * 0.5)
    torch.testing.assert_close(moved.decode(moved.encode(images)), plain.decode(z), atol=1e-5, rtol=0)
    assert LatentCodec(tiny_vae()).scale == 0.18215  # what diffusers assumes


@torch.no_grad()
def test_codec_encodes_to_the_mode_and_on_demand_to_a_sample() -> None:
    codec = LatentCodec(tiny_vae(scaling_factor=1.0))
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    posterior = codec.vae.encode(images * 2 - 1).latent_dist
    noise = normal(1, 4, 8, 8)
    torch.testing.assert_close(codec.encode(images), posterior.mode())
    torch.testing.assert_close(codec.encode(images, noise=noise), posterior.mean + posterior.std * noise)


def test_codec_masks_never_vanish() -> None:
    codec = LatentCodec(tiny_vae())
    masks = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    masks[0, 0, 5, 9] = True
    cells = codec.encode_mask(masks)
    assert cells.shape == (1, 1, 8, 8)
    assert cells[0, 0, 2, 4] == 1
    assert cells.sum() == 1


def test_codec_refuses_what_it_would_get_wrong() -> None:
    with pytest.raises(InputError, match="latents_mean"):
        LatentCodec(tiny_vae(latents_mean=[0.0] * 4, latents_std=[1.0] * 4))
    with pytest.raises(InputError, match="image channels"):
        LatentCodec(tiny_vae(in_channels=1, out_channels=1))


def conditioning(**more: torch.Tensor) -> Conditioning:
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:9, 3:12] = 1
    return Conditioning(normal(2, 4, 16, 16, seed=1), mask, normal(2, 5, CONTEXT, seed=2), **more)


@torch.no_grad()
def test_denoiser_is_the_unet_until_an_adapter_has_learnt() -> None:
    unet = tiny_unet()
    x, t, given = normal(2, 4, 16, 16), torch.tensor([10, 900]), conditioning()
    bare = LatentDenoiser(unet, conditions={"a": normal(5, CONTEXT)})
    expected = unet(x, t, encoder_hidden_states=given.condition).sample
    assert torch.equal(bare(x, t, conditioning=given, aligned=given.mask, branch="aware"), expected)
    fresh = LatentDenoiser(
        unet,
        conditions={"a": normal(5, CONTEXT)},
        aware=ResidualAdapter(widths=(16,)),
        only=ResidualAdapter(widths=(16,)),
    )
    for branch in ("aware", "only"):
        assert torch.equal(fresh(x, t, conditioning=given, aligned=given.mask, branch=branch), expected)


@torch.no_grad()
def test_denoiser_takes_a_branch_for_each_sample() -> None:
    class Times(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, eps: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.factor * eps + mask

    denoiser = LatentDenoiser(tiny_unet(), conditions={"a": normal(5, CONTEXT)}, aware=Times(2.0), only=Times(3.0))
    x, t, given = normal(2, 4, 16, 16), torch.tensor([10, 900]), conditioning()
    both = denoiser(x, t, conditioning=given, aligned=given.mask, branch=torch.tensor([1.0, 0.0]))
    aware, only = (
        denoiser(x, t, conditioning=given, aligned=given.mask, branch=branch) for branch in ("aware", "only")
    )
    torch.testing.assert_close(both, torch.stack([aware[0], only[1]]), atol=1e-6, rtol=0)
    assert not torch.allclose(aware, only)


@torch.no_grad()
def test_inpainting_unet_sees_mask_and_surface_and_none_of_it_in_the_only_branch() -> None:
    unet = tiny_unet(in_channels=9)
    denoiser = LatentDenoiser(unet, conditions={"a": normal(5, CONTEXT)}, inpainting=True)
    x, t, surround = normal(2, 4, 16, 16), torch.tensor([10, 900]), normal(2, 4, 16, 16, seed=3)
    given = conditioning(filled=surround)
    for branch, mask, seen in (("aware", given.mask, surround), ("only", torch.ones_like(given.mask), 0 * surround)):
        expected = unet(torch.cat([x, mask, seen], dim=1), t, encoder_hidden_states=given.condition).sample
        assert torch.equal(denoiser(x, t, conditioning=given, aligned=given.mask, branch=branch), expected)
    with pytest.raises(InputError, match="filled"):
        denoiser(x, t, conditioning=conditioning(), aligned=given.mask, branch="aware")


def test_denoiser_names_unknown_kinds() -> None:
    denoiser = LatentDenoiser(tiny_unet(), conditions={"a": normal(5, CONTEXT), "b": normal(5, CONTEXT)})
    assert denoiser.condition(["b", "a"]).shape == (2, 5, CONTEXT)
    with pytest.raises(InputError, match="'c'; this bundle knows a, b"):
        denoiser.condition(["c"])


def test_residual_adapter_starts_as_the_identity_and_can_learn() -> None:
    adapter = ResidualAdapter(widths=(16, 8), groups=4)
    eps, mask = normal(3, 4, 8, 8), torch.ones(3, 1, 8, 8)
    out = adapter(eps, mask)
    assert torch.equal(out, eps)
    (out - normal(3, 4, 8, 8, seed=1)).square().mean().backward()
    assert adapter.conv[-1].weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="multiples of the groups"):
        ResidualAdapter(widths=(6,), groups=4)


def test_colours_are_matched_in_closed_form() -> None:
    clean = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    free = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    free[:, :, 24:40, 16:40] = True
    decoded = 0.8 * clean + torch.tensor([0.05, -0.02, 0.1]).view(1, 3, 1, 1)
    decoded = torch.where(free, decoded + 0.2, decoded)  # the anomaly has no say
    matched = match_colour(decoded, clean, free=free)
    torch.testing.assert_close(matched[~free.expand_as(matched)], clean[~free.expand_as(clean)], atol=0.02, rtol=0)
    change = (matched - clean)[free.expand_as(clean)]
    assert change.mean() == pytest.approx(0.25, abs=0.03)  # 0.2 / 0.8


def test_an_even_surface_is_only_shifted() -> None:
    clean = torch.full((1, 3, 64, 64), 0.5)
    free = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    free[:, :, 24:40, 24:40] = True
    decoded = torch.where(free, torch.tensor(0.9), torch.tensor(0.45))
    matched = match_colour(decoded.expand(1, 3, 64, 64), clean, free=free)
    torch.testing.assert_close(matched, torch.where(free, 0.95, 0.5).expand(1, 3, 64, 64))
    everywhere = torch.ones_like(free)
    assert torch.equal(match_colour(clean, 0 * clean, free=everywhere), clean)
