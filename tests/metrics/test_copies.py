# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.copies import measure_copy_distance
from anomalib_stage.metrics.crops import Crop
from anomalib_stage.metrics.diversity import compute_diversity
from tests.metrics.rendered import defect, disc, eight_bit, one_cut, surface

REAL = [defect(seed, defect=("hole", "stain", "contamination")[seed % 3]) for seed in range(24)]


def pasted(cut: Crop, *, seed: int, turns: int = 0, mirrored: bool = False, scale: float = 1.0) -> Crop:
    """Put an anomaly onto another surface, as a copier would."""
    pixels, mask = np.rot90(cut.pixels, turns), np.rot90(cut.mask, turns)
    if mirrored:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
    pixels = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    ground, where = eight_bit(surface(seed, side=128)), np.zeros((128, 128), np.bool_)
    where[20 : 20 + mask.shape[0], 30 : 30 + mask.shape[1]] = mask
    ground[where] = pixels[mask]
    return one_cut(ground, where, defect=cut.defect, source=900 + seed)


def test_a_copied_anomaly_has_no_distance_whatever_it_lies_on() -> None:
    for turns, mirrored in ((0, False), (1, False), (3, True)):
        copies = [pasted(cut, seed=i, turns=turns, mirrored=mirrored) for i, cut in enumerate(REAL)]
        found = measure_copy_distance(copies, REAL)
        assert found.synthetic.which.tolist() == list(range(len(REAL)))
        assert found.synthetic.distance.max() < 0.02
        assert found.ratio < 0.05
        assert found.copies == 1.0


def test_a_copy_of_another_size_is_still_found() -> None:
    found = measure_copy_distance([pasted(cut, seed=i, scale=1.5) for i, cut in enumerate(REAL)], REAL)
    assert np.mean(found.synthetic.which == np.arange(len(REAL))) > 0.9
    assert found.ratio < 0.5


def test_fresh_anomalies_are_as_far_as_real_ones_are_from_each_other() -> None:
    fresh = [defect(100 + seed, defect=("hole", "stain", "contamination")[seed % 3]) for seed in range(24)]
    found = measure_copy_distance(fresh, REAL)
    assert 0.8 < found.ratio < 1.25
    assert found.copies < 0.25
    assert (found.real.which != np.arange(len(REAL))).all()


def test_captures_of_one_object_do_not_vouch_for_each_other() -> None:
    twins = [REAL[0], REAL[0], *REAL[1:]]  # two cuts of one image
    assert measure_copy_distance(REAL[:1], twins).real.distance[:2].min() > 0.1


def test_even_anomalies_are_compared_by_their_outline() -> None:
    def even(mask: np.ndarray, source: int) -> Crop:
        picture = np.full((72, 72, 3), 30, np.uint8)
        picture[mask] = 220
        return one_cut(picture, mask, source=source)

    bar = np.zeros((72, 72), np.bool_)
    bar[20:50, 30:36] = True
    real = [even(disc(), 0), even(bar, 1)]
    found = measure_copy_distance([even(np.rot90(bar), 7)], real)
    assert found.synthetic.which.tolist() == [1]
    assert found.synthetic.distance[0] < 0.1 < found.real.distance.min()


def test_too_few_anomalies_are_refused() -> None:
    with pytest.raises(InputError, match="two images"):
        measure_copy_distance(REAL, [REAL[0]])
    with pytest.raises(InputError, match="0 synthetic"):
        measure_copy_distance([], REAL)


def test_diversity_is_nothing_for_copies_and_grows_with_the_differences() -> None:
    turned = [pasted(REAL[0], seed=5, turns=turns) for turns in range(4)]
    assert compute_diversity(turned) < 0.05 * compute_diversity(REAL)
    faint = [one_cut((cut.pixels // 2 + 64).astype(np.uint8), *_whole(cut)) for cut in REAL]
    assert compute_diversity(faint) == pytest.approx(0.5 * compute_diversity(REAL), rel=0.1)
    assert np.isnan(compute_diversity(REAL[:1]))
    assert compute_diversity(REAL, most=8) == pytest.approx(compute_diversity(REAL), rel=0.5)


def _whole(cut: Crop) -> tuple[np.ndarray]:
    return (cut.mask,)
