# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples and the graded loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalib_stage.errors import DataError
from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES
from anomalib_stage.synthesis.diffusion.denoising import Conditioning
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE, Schedule
from anomalib_stage.training.data.regions.dataset import RegionDataset, StepBatches
from anomalib_stage.training.data.regions.example import Example, draw_window
from anomalib_stage.training.data.regions.good_surfaces import GoodSurfaces
from anomalib_stage.training.data.regions.mixture import build_mixture
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.regions.rendered import ProceduralDefects
from anomalib_stage.training.data.regions.weighted_sources import Mixture
from anomalib_stage.training.network.loss import compute_graded_loss


def _real(size: tuple[int, int] = (120, 150)) -> RealDefects:
    image = np.full((*size, 3), 100, dtype=np.uint8)
    mask = np.zeros(size, dtype=np.bool_)
    mask[5:9, 3:20] = True
    mask[90:110, 100:140] = True
    image[mask] = 200
    return RealDefects([Example(image, mask, "rust")])


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("source", [ProceduralDefects(), _real(), GoodSurfaces([np.zeros((40, 200, 3), np.uint8)])])
def test_every_source_gives_regions_with_a_mask(source, side: int) -> None:
    for seed in range(12):
        example = source.draw(side, rng=np.random.default_rng(seed))
        assert example.image.shape == (side, side, 3)
        assert example.image.dtype == np.uint8
        assert example.mask.shape == (side, side)
        assert example.mask.any()


def test_defects_that_stand_apart_become_examples_of_their_own() -> None:
    pool = _real().group_by_defect["rust"]
    assert sorted(int(example.mask.sum()) for example in pool) == [4 * 17, 20 * 40]


def test_a_real_defect_keeps_its_mask_through_flips_and_turns() -> None:
    source = _real()
    for seed in range(20):
        example = source.draw(64, rng=np.random.default_rng(seed))
        brightness = example.image[..., 0].astype(int)
        # the example's own defect is brighter than the surface around it
        assert brightness[example.mask].min() > np.median(brightness[~example.mask])


@pytest.mark.parametrize("extent", [40, 100, 250])
def test_windows_of_large_defects_hold_part_of_them_and_part_of_the_surface(extent: int) -> None:
    mask = np.zeros((400, 420), dtype=np.bool_)
    mask[70 : 70 + extent, 80 : 80 + extent] = True
    shares = []
    for seed in range(60):
        rows, columns = draw_window(mask, 64, rng=np.random.default_rng(seed))
        assert (rows, columns) == draw_window(mask, 64, rng=np.random.default_rng(seed))
        window = mask[rows, columns]
        assert window.shape == (64, 64)
        shares.append(window.mean())
    assert min(shares) > 0
    if extent <= 64:
        assert set(shares) == {extent**2 / 64**2}  # what fits is whole
    else:
        assert np.mean(np.array(shares) <= 0.7) > 0.8
    full = np.ones((70, 80), dtype=np.bool_)  # no surface at all
    rows, columns = draw_window(full, 64, rng=np.random.default_rng(0))
    assert full[rows, columns].all()


def test_items_are_a_function_of_seed_index_and_side() -> None:
    first, second = (RegionDataset(ProceduralDefects(), defects=DEFECT_NAMES, seed=3) for _ in range(2))
    other = RegionDataset(ProceduralDefects(), defects=DEFECT_NAMES, seed=4)
    for key in ((0, 64), (7, 64), (7, 128)):
        a, b = first[key], second[key]
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not torch.equal(a["image"], other[key]["image"])
    assert int(first[(0, 64)]["seed"]) != int(first[(1, 64)]["seed"])


def test_batches_go_on_where_an_epoch_ended() -> None:
    straight = StepBatches(8, steps=8, side=64)
    whole = list(straight)
    halves = StepBatches(8, steps=4, side=64)
    parts = list(halves)
    halves.set_epoch(1)
    parts += list(halves)
    assert whole == parts
    assert [(len(batch), batch[0][1]) for batch in whole[:4]] == [(8, 64), (8, 64), (8, 64), (2, 128)]
    indices = [key[0] for batch in whole for key in batch]
    assert len(set(indices)) == len(indices)


def test_good_surface_is_a_fifth_of_the_rendered_examples() -> None:
    defects = [ProceduralDefects().draw(32, rng=np.random.default_rng(i)).defect for i in range(300)]
    assert 0.12 < defects.count("good") / len(defects) < 0.3
    assert set(defects) == set(DEFECT_NAMES)


def test_a_mixture_follows_its_weights_and_refuses_nothing() -> None:
    mixture = Mixture([(_real(), 0.75), (GoodSurfaces([np.zeros((64, 64, 3), np.uint8)]), 0.25), (_real(), 0.0)])
    defects = [mixture.draw(64, rng=np.random.default_rng(i)).defect for i in range(200)]
    assert 0.65 < defects.count("rust") / len(defects) < 0.85
    with pytest.raises(DataError, match="nothing to train on"):
        Mixture([(_real(), 0.0)])


def _guidance() -> Conditioning:
    mask = torch.zeros(2, 12, 8, 8)
    mask[0, :, 2:6, 2:6] = 1
    mask[1, :, 3, 3] = 1
    clean = torch.rand(2, 12, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Conditioning(clean, mask, torch.zeros(2, 1))


def _loss(denoiser, aware: float) -> torch.Tensor:
    conditioning = _guidance()
    return compute_graded_loss(
        denoiser,
        conditioning,
        schedule=Schedule(COMPACT_SCHEDULE),
        t=torch.tensor([300, 700]),
        noise=torch.randn(conditioning.clean.shape, generator=torch.Generator().manual_seed(1)),
        aware=torch.full((2,), aware),
    )


@pytest.mark.parametrize("aware", [1.0, 0.0])
def test_a_perfect_prediction_costs_nothing_in_either_branch(aware: float) -> None:
    schedule = Schedule(COMPACT_SCHEDULE)

    def perfect(x, t, *, conditioning, aligned, branch):
        shown = conditioning.clean if aware else conditioning.clean * conditioning.mask
        noise = (x - schedule.signal(t, x) * shown) / schedule.noise(t, x)
        return schedule.compute_target(shown, t, noise)

    assert float(_loss(perfect, aware).max()) < 1e-8


def test_the_aware_branch_is_masked_by_the_alignment_and_normalised_by_area() -> None:
    seen = {}

    def zero(x, t, *, conditioning, aligned, branch):
        seen["aligned"] = aligned
        return torch.zeros_like(x)

    losses = _loss(zero, 1.0)
    conditioning = _guidance()
    assert torch.equal(seen["aligned"][conditioning.mask.bool()], torch.ones(int(conditioning.mask.sum())))
    assert float(seen["aligned"][0, 0, 0, 0]) == pytest.approx((0.3 - 0.2) / 0.8)
    # a mask of one cell in 64 weighs about as much as one of sixteen
    assert 0.2 < float(losses[1] / losses[0]) < 5.0


def test_kinds_with_real_defects_are_not_rendered() -> None:
    source = build_mixture(_real(), [np.full((80, 80, 3), 120, np.uint8)], procedural=1.0, quarter=True)
    assert {source.draw(32, rng=np.random.default_rng(i)).defect for i in range(100)} == set(DEFECT_NAMES)
    image, mask = np.full((80, 80, 3), 120, np.uint8), np.zeros((80, 80), np.bool_)
    mask[30:40, 30:40] = True
    cracks = RealDefects([Example(image, mask, "crack")])
    source = build_mixture(cracks, [image], procedural=1.0, quarter=True)
    assert {source.draw(32, rng=np.random.default_rng(i)).defect for i in range(100)} == set(DEFECT_NAMES) - {"crack"}
    none = ProceduralDefects(without=DEFECT_NAMES)
    assert {none.draw(32, rng=np.random.default_rng(i)).defect for i in range(20)} == {"good"}
