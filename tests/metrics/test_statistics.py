# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Each statistic sees what it is meant to see, and little else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anomalib_stage.metrics.crops import Crop
from anomalib_stage.metrics.statistics import STATISTICS, build_feature_table, compute_statistics
from tests.metrics.rendered import disc, eight_bit, one_cut

MASK = disc(radius=16)


def noise(seed: int, *, sigma: float = 0.0, strength: float = 12.0, colours: bool = False) -> np.ndarray:
    """Grain around mid-grey, ``(72, 72, 3)`` in grey levels."""
    rng = np.random.default_rng(seed)
    plane = rng.standard_normal((72, 72, 3 if colours else 1)).astype(np.float32)
    plane = cv2.GaussianBlur(plane, (0, 0), sigma).reshape(plane.shape) if sigma else plane
    return np.broadcast_to(128.0 + strength * plane / plane.std(), (72, 72, 3)).astype(np.float32)


def put_in(inside: np.ndarray, outside: np.ndarray, mask: np.ndarray = MASK) -> Crop:
    return one_cut(eight_bit(np.where(mask[..., None], inside, outside) / 255.0), mask)


def medians(insides: list[np.ndarray], outsides: list[np.ndarray]) -> dict[str, float]:
    table = build_feature_table([put_in(a, b) for a, b in zip(insides, outsides, strict=True)])
    known = {name: values[np.isfinite(values)] for name, values in table.items()}
    return {name: float(np.median(values)) for name, values in known.items() if len(values)}


def test_nothing_stands_out_where_nothing_was_done() -> None:
    found = medians(*[[noise(seed, colours=True) for seed in range(16)]] * 2)
    assert set(found) == set(STATISTICS)
    assert all(abs(found[name]) < 0.25 for name in STATISTICS if name not in {"tone", "grid_2", "levels", "step"}), (
        found
    )
    assert abs(found["tone"]) < 1.0


CASES = {
    "tone": (lambda i: noise(i) + 40.0, 40.0, 2.0),
    "contrast": (lambda i: noise(i, strength=24.0), 1.0, 0.15),
    "detail_2": (lambda i: noise(i, strength=6.0), -1.0, 0.15),
    "smoothness": (lambda i: noise(i, sigma=1.0), 0.7, 0.2),
    "colour": (lambda i: noise(i, colours=True), 5.5, 1.0),
    "colour_link": (lambda i: noise(i, colours=True), -0.95, 0.1),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen_in_its_own_unit(name: str) -> None:
    change, wanted, tolerance = CASES[name]
    found = medians([change(seed) for seed in range(12)], [noise(50 + seed) for seed in range(12)])
    assert found[name] == pytest.approx(wanted, abs=tolerance)


def test_blurred_surface_loses_its_spectrum_from_the_fine_end() -> None:
    surfaces = [noise(seed, strength=30.0) for seed in range(8)]
    found = medians([cv2.GaussianBlur(picture, (0, 0), 1.2) for picture in surfaces], surfaces)
    assert found["detail_2"] < -2.0
    assert found["detail_2"] < found["detail_4"] < found["detail_8"] < found["detail_16"] + 0.1


def test_clouds_are_seen_in_their_octave() -> None:
    clouds = [noise(seed) + noise(90 + seed, sigma=4.0, strength=16.0) - 128.0 for seed in range(8)]
    found = medians(clouds, [noise(seed) for seed in range(8)])
    assert found["detail_16"] > 1.0
    assert abs(found["detail_2"]) < 0.2


def test_a_grid_of_two_and_of_eight_pixels_is_seen_on_its_own() -> None:
    rows, cols = np.mgrid[:72, :72]
    surfaces = [noise(seed) for seed in range(8)]
    plain = medians(surfaces, surfaces)
    two = medians([p + 6.0 * (1 - 2 * ((rows + cols) % 2))[..., None] for p in surfaces], surfaces)
    blocks = cv2.resize(np.random.default_rng(3).normal(0, 30, (9, 9)).astype(np.float32), (72, 72), interpolation=0)
    eight = medians([p + blocks[..., None] for p in surfaces], surfaces)
    assert two["grid_2"] > plain["grid_2"] + 4.0
    assert abs(two["grid_8"]) < 0.3
    assert eight["grid_8"] > 0.6
    assert eight["grid_2"] < plain["grid_2"] + 1.5


def test_a_pasted_patch_has_a_seam_and_a_continued_surface_has_none() -> None:
    smooth = [noise(seed, sigma=3.0, strength=30.0) for seed in range(40)]
    pasted = medians(smooth[:20], smooth[20:])
    continued = medians(smooth[:20], smooth[:20])
    assert pasted["seam"] > 2.0
    assert abs(continued["seam"]) < 0.1
    assert pasted["step"] > continued["step"] + 1.0
    assert pasted["edge"] > 2.0
    assert abs(pasted["detail_8"]) < 0.3  # the patch is a surface like the other


def test_a_turned_texture_is_seen() -> None:
    stripes = [np.repeat(noise(seed)[:, :1], 72, axis=1) for seed in range(6)]
    found = medians([np.rot90(picture) for picture in stripes], stripes)
    assert found["direction"] > 4.0
    assert medians(stripes, stripes)["direction"] < 0.2


def test_thin_and_tiny_masks_have_no_coarse_spectrum_and_no_errors() -> None:
    line = np.zeros((72, 72), np.bool_)
    line[30, 20:50] = True
    dot = np.zeros((72, 72), np.bool_)
    dot[36, 36] = True
    for mask in (line, dot):
        found = compute_statistics(put_in(noise(1), noise(2), mask))
        assert np.isnan(found["detail_16"])
        assert np.isfinite(found["edge"])
        assert np.isfinite(found["tone"])
    assert np.isfinite(compute_statistics(put_in(noise(1), noise(2), line))["seam"])


def test_black_surfaces_have_numbers_too() -> None:
    found = compute_statistics(put_in(np.full((72, 72, 3), 255.0), np.zeros((72, 72, 3))))
    assert found["tone"] == 255.0
    assert found["edge"] > 8.0
    assert [name for name, value in found.items() if np.isnan(value)] == ["colour", "colour_link"]
