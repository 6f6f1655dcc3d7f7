# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The detectors find what was pasted, and nothing where nothing was done."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.crops import Crop
from anomalib_stage.metrics.traces.forensics import detect_repainting
from anomalib_stage.metrics.traces.univariate_detectors import compute_auroc, measure_univariate_traces
from tests.metrics.rendered import disc, eight_bit, one_cut, surface

COUNT = 32
STEPS = 30


def untouched(first: int) -> list[Crop]:
    """Surfaces with a mask in which nothing was done."""
    return [
        one_cut(surface(seed), disc(radius=6 + seed % 9), defect="good", source=seed - first)
        for seed in range(first, first + COUNT)
    ]


def pasted(cuts: list[Crop]) -> list[Crop]:
    """Fill each mask from another surface of the same sort, moved to the same tone."""
    found = []
    for i, cut in enumerate(cuts):
        patch = eight_bit(surface(500 + i))[: cut.mask.shape[0], : cut.mask.shape[1]].astype(np.float32)
        patch += cut.pixels[cut.mask].mean() - patch[cut.mask].mean()
        mixed = np.where(cut.mask[..., None], np.clip(patch, 0, 255), cut.pixels)
        found.append(cut._replace(pixels=mixed.astype(np.uint8)))
    return found


def test_pasted_surface_is_found() -> None:
    before = untouched(0)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    after = pasted(before)
    found = detect_repainting(after, before, steps=STEPS)
    assert found.network > 0.9
    assert found.regression > 0.9
    assert found.regions == COUNT
    assert torch.equal(state, torch.random.get_rng_state())
    told = measure_univariate_traces(after, before)
    assert next(iter(told.values())).auroc > 0.8
    assert told["seam"].repainted > told["seam"].untouched + 0.3
    assert [trace.auroc for trace in told.values()] == sorted((trace.auroc for trace in told.values()), reverse=True)


def test_untouched_surfaces_cannot_be_told_from_each_other() -> None:
    one, other = untouched(0), untouched(200)
    first = detect_repainting(one, other, steps=STEPS, seed=2)
    assert 0.3 < first.network < 0.7
    assert 0.3 < first.regression < 0.7
    assert np.mean([trace.auroc for trace in measure_univariate_traces(one, other).values()]) < 0.6
    assert first == detect_repainting(one, other, steps=STEPS, seed=2)


def test_equal_regions_are_exactly_chance() -> None:
    cuts = untouched(0)[:10]
    found = detect_repainting(cuts, cuts, steps=2)
    assert (found.network, found.regression) == (0.5, 0.5)
    assert all(trace.auroc == 0.5 for trace in measure_univariate_traces(cuts, cuts).values())


def test_large_masks_fit_into_the_windows() -> None:
    cuts = [one_cut(surface(seed, side=160), disc(radius=40, at=(80, 80), side=160), source=seed) for seed in range(8)]
    assert 0.0 <= detect_repainting(cuts, cuts[::-1][::-1], steps=1).network <= 1.0


def test_too_few_images_are_refused() -> None:
    cuts = [cut._replace(source=cut.source % 7) for cut in untouched(0)]
    with pytest.raises(InputError, match="of 7 images"):
        detect_repainting(cuts, cuts)
    with pytest.raises(InputError, match="give pairs in one order"):
        detect_repainting(untouched(0), untouched(0)[::-1])


def test_auroc_counts_pairs_and_ties_by_half() -> None:
    assert compute_auroc(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 4)
    assert np.isnan(compute_auroc(np.array([]), np.array([1.0])))
