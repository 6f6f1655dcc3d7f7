# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Denoisers: batch independence, any size, tiling, and the fast one that gives the same numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.diffusion.compact import compact_denoiser, fast_denoiser
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.synthesis.diffusion.compact.denoiser_config import COMPACT_CONFIG
from anomalib_stage.synthesis.diffusion.compact.fast_denoiser import FastDenoiser
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.tiled_denoiser import TiledDenoiser

TINY = {**COMPACT_CONFIG, "block_out_channels": [16, 24], "norm_num_groups": 4}


@pytest.fixture(scope="module")
def network() -> CompactDenoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CompactDenoiser(["scratch", "good"], config=TINY).eval().requires_grad_(requires_grad=False)


def _inputs(
    network: CompactDenoiser, size: tuple[int, int], count: int
) -> tuple[torch.Tensor, torch.Tensor, Conditioning]:
    generator = torch.Generator().manual_seed(3)
    x, clean = (torch.randn(count, 12, *size, generator=generator) for _ in range(2))
    mask = (torch.rand(count, 1, *size, generator=generator) > 0.7).float().expand(-1, 12, -1, -1)
    t = torch.randint(0, 1000, (count,), generator=generator)
    return x, t, Conditioning(clean, mask, network.condition(["scratch"] * count))


def _part(conditioning: Conditioning, rows: slice) -> Conditioning:
    return Conditioning(conditioning.clean[rows], conditioning.mask[rows], conditioning.condition[rows])


@pytest.mark.parametrize("branch", ["aware", "only"])
@pytest.mark.parametrize("size", [(32, 32), (16, 48), (8, 8)])
def test_a_sample_alone_equals_the_sample_in_a_batch(network: CompactDenoiser, size: tuple, branch: str) -> None:
    x, t, conditioning = _inputs(network, size, 5)
    together = network(x, t, conditioning=conditioning, aligned=conditioning.mask, branch=branch)
    assert together.dtype == torch.float32
    for rows in (slice(0, 1), slice(1, 4)):
        part = _part(conditioning, rows)
        alone = network(x[rows], t[rows], conditioning=part, aligned=part.mask, branch=branch)
        torch.testing.assert_close(alone, together[rows], rtol=0, atol=1e-5)


def test_the_anomaly_only_branch_does_not_see_the_surface(network: CompactDenoiser) -> None:
    x, t, conditioning = _inputs(network, (16, 16), 2)
    conditioning = replace(conditioning, filled=conditioning.clean)
    other = replace(conditioning, filled=conditioning.clean * conditioning.mask)
    results = {
        branch: [network(x, t, conditioning=g, aligned=g.mask, branch=branch) for g in (conditioning, other)]
        for branch in ("aware", "only")
    }
    assert torch.equal(*results["only"])
    assert not torch.equal(*results["aware"])


def test_what_lies_under_the_mask_is_never_shown(network: CompactDenoiser) -> None:
    x, t, conditioning = _inputs(network, (16, 16), 2)
    changed = Conditioning(conditioning.clean + 5 * conditioning.mask, conditioning.mask, conditioning.condition)
    first, second = (network(x, t, conditioning=g, aligned=g.mask, branch="aware") for g in (conditioning, changed))
    assert torch.equal(first, second)


def test_tiles_agree_with_the_whole_away_from_their_borders(network: CompactDenoiser) -> None:
    x, t, conditioning = _inputs(network, (64, 96), 1)

    def shift_equivariant(x, t, *, conditioning, aligned, branch):
        del t, branch
        return x * 2 + conditioning.clean - aligned

    whole = shift_equivariant(x, t, conditioning=conditioning, aligned=conditioning.mask, branch="aware")
    tiled = TiledDenoiser(shift_equivariant, tile=32, overlap=8)
    torch.testing.assert_close(tiled(x, t, conditioning=conditioning, aligned=conditioning.mask, branch="aware"), whole)
    out = TiledDenoiser(network, tile=32, overlap=8)(
        x, t, conditioning=conditioning, aligned=conditioning.mask, branch="aware"
    )
    assert out.shape == x.shape
    assert bool(out.isfinite().all())


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("half", [True, False], ids=["bf16", "fp32"])
@pytest.mark.parametrize("branch", ["aware", "only"])
def test_the_fast_denoiser_gives_the_same_numbers(
    branch: str, half: bool, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**TINY, "block_out_channels": [8, 16, 24], "layers_per_block": layers}
    network = CompactDenoiser(["scratch"], config=config).eval().requires_grad_(requires_grad=False)
    for module in (compact_denoiser, fast_denoiser):
        monkeypatch.setattr(module, "bf16_is_fast", lambda _: half)
    same = FastDenoiser(network)
    for size, count in (((16, 16), 1), ((32, 24), 3), ((8, 40), 2)):
        x, t, conditioning = _inputs(network, size, count)
        told = replace(conditioning, filled=conditioning.clean.flip(2), contrast=torch.rand(count))
        for given in (conditioning, told):
            wanted = network(x, t, conditioning=given, aligned=0.5 * given.mask, branch=branch)
            found = same(x, t, conditioning=given, aligned=0.5 * given.mask, branch=branch)
            assert found.dtype == torch.float32
            assert (found - wanted).abs().max() <= (1e-2 if half else 1e-4)  # here: to the bit


def test_an_unknown_defect_is_refused_by_name(network: CompactDenoiser) -> None:
    with pytest.raises(InputError, match=r"'rust'.*good, scratch"):
        network.condition(["rust"])


@pytest.mark.parametrize(
    "config",
    [
        {**TINY, "extra": 1},
        {key: value for key, value in TINY.items() if key != "factor"},
        {**TINY, "factor": 0},
        {**TINY, "norm_num_groups": 7},
        {**TINY, "block_out_channels": [16.5]},
    ],
)
def test_an_unusable_configuration_is_refused(config: dict) -> None:
    with pytest.raises(InputError, match="denoiser configuration"):
        CompactDenoiser(["good"], config=config)
