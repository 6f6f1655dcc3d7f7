# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Masks: never empty, never outside what is allowed, as large as asked for, the same for the same stream."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.synthesis.masks.extent import draw_extent
from anomalib_stage.synthesis.masks.shapes.families import SHAPES

shapes = st.sampled_from(sorted(SHAPES))
sides = st.integers(32, 300) | st.integers(300, 2048)
seeds = st.integers(0, 2**32 - 1)
examples = settings(max_examples=60, deadline=None, derandomize=True)


def stream(seed: int) -> np.random.Generator:
    """Return a random stream."""
    return np.random.default_rng(seed)


def longest_side(mask: np.ndarray) -> int:
    """Longest side of the bounding box of the set pixels."""
    rows, columns = np.nonzero(mask)
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


@examples
@given(shape=shapes, height=sides, width=sides, fraction=st.floats(0.0, 1.0), seed=seeds)
def test_mask_is_a_non_empty_bool_array_of_the_images_size(
    shape: str, height: int, width: int, fraction: float, seed: int
) -> None:
    extent = math.exp(fraction * math.log(1.2 * max(height, width)))

    mask = draw_mask(shape, (height, width), extent=extent, rng=stream(seed))

    assert mask.shape == (height, width)
    assert mask.dtype == np.bool_
    assert mask.any()


@examples
@given(shape=shapes, height=sides, width=sides, extent=st.floats(1.0, 800.0), seed=seeds, parts=st.integers(1, 4))
def test_mask_stays_on_objects_in_images_of_any_size(
    shape: str, height: int, width: int, extent: float, seed: int, parts: int
) -> None:
    rng = stream(seed)
    objects = np.zeros((height, width), np.uint8)
    for _ in range(parts):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(1, width)), int(rng.integers(1, height)))
        cv2.ellipse(objects, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, int(rng.choice([-1, 2])))
    allowed = objects > 0
    allowed[centre[1], centre[0]] = True

    first, second = (
        draw_mask(shape, (height, width), extent=extent, rng=stream(seed), allowed=allowed) for _ in range(2)
    )

    assert first.dtype == np.bool_
    assert first.shape == (height, width)
    assert first.any()
    assert not (first & ~allowed).any()
    assert np.array_equal(first, second)


@examples
@given(shape=shapes, extent=st.floats(1.0, 120.0), pixels=st.integers(1, 400), seed=seeds)
def test_mask_stays_inside_the_allowed_area(shape: str, extent: float, pixels: int, seed: int) -> None:
    allowed = np.zeros((48, 80), bool)
    allowed.flat[stream(seed).choice(allowed.size, pixels, replace=False)] = True

    mask = draw_mask(shape, (48, 80), extent=extent, rng=stream(seed), allowed=allowed)

    assert mask.any()
    assert not (mask & ~allowed).any()


@examples
@given(shape=shapes, extent=st.floats(1.0, 70.0), seed=seeds)
def test_same_stream_gives_the_same_mask(shape: str, extent: float, seed: int) -> None:
    first, second = (draw_mask(shape, (64, 40), extent=extent, rng=stream(seed)) for _ in range(2))

    assert np.array_equal(first, second)


@examples
@given(shape=shapes.filter(lambda shape: shape != "edge_chip"), extent=st.floats(6.0, 100.0), seed=seeds)
def test_longest_side_is_the_extent(shape: str, extent: float, seed: int) -> None:
    middle = np.zeros((401, 401), bool)
    middle[200, 200] = True

    # Where one pixel is allowed everything else is cut, so the uncut shape is seen through its family alone.
    stamp = SHAPES[shape](extent, rng=stream(seed), angle=1.0)

    assert abs(longest_side(stamp.cells) - extent) <= 0.1 * extent + 1.5
    assert stamp.cells[stamp.anchor]
    assert draw_mask(shape, (401, 401), extent=extent, rng=stream(seed), allowed=middle).sum() == 1


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("extent", [0.2, 1.0, 1.4])
def test_extent_of_one_pixel_sets_one_pixel(shape: str, extent: float) -> None:
    assert draw_mask(shape, (32, 32), extent=extent, rng=stream(3)).sum() == 1


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_image_size_works_down_to_one_pixel(shape: str) -> None:
    masks = [
        draw_mask(shape, size, extent=extent, rng=stream(1))
        for size in [(1, 1), (1, 9), (9, 1), (2, 3)]
        for extent in (1, 3, 5, 40)
    ]

    assert all(mask.any() for mask in masks)


@examples
@given(seed=seeds, extent=st.floats(4.0, 40.0))
def test_edge_chip_touches_the_edge_of_the_allowed_area(seed: int, extent: float) -> None:
    rows, columns = np.ogrid[:90, :120]
    allowed = np.asarray((rows - 45) ** 2 + (columns - 60) ** 2 < 36**2)
    enclosed = allowed[2:, 1:-1] & allowed[:-2, 1:-1] & allowed[1:-1, 2:] & allowed[1:-1, :-2]

    mask = draw_mask("edge_chip", (90, 120), extent=extent, rng=stream(seed), allowed=allowed)

    assert (mask[1:-1, 1:-1] & allowed[1:-1, 1:-1] & ~enclosed).any()


@examples
@given(seed=seeds)
def test_edge_chip_touches_the_images_edge_without_an_allowed_area(seed: int) -> None:
    mask = draw_mask("edge_chip", (60, 100), extent=20, rng=stream(seed))

    assert mask[[0, -1]].any() or mask[:, [0, -1]].any()


def test_masks_mostly_fit_into_the_image() -> None:
    masks = [draw_mask("blob", (128, 128), extent=40, rng=stream(seed)) for seed in range(100)]

    whole = sum(longest_side(mask) >= 35 for mask in masks)

    assert whole >= 80


def test_shapes_differ_in_how_much_of_their_box_they_fill() -> None:
    area = {
        shape: np.median([draw_mask(shape, (200, 200), extent=80, rng=stream(seed)).sum() for seed in range(20)])
        for shape in SHAPES
    }

    assert max(area["scratch"], area["crack"]) < 0.25 * area["blob"]


@examples
@given(low=st.floats(0.01, 0.5), ratio=st.floats(1.0, 3.0), seed=seeds)
def test_draw_extent_stays_in_its_range(low: float, ratio: float, seed: int) -> None:
    extent = draw_extent((100, 300), low=low, high=low * ratio, minimum=1, rng=stream(seed))

    assert max(100 * low * 0.999, 1) <= extent <= max(100 * low * ratio * 1.001, 1)


def test_draw_extent_never_falls_below_the_minimum() -> None:
    assert draw_extent((100, 300), low=0.01, high=0.02, minimum=8, rng=stream(0)) == 8


def test_draw_extent_is_even_on_a_logarithmic_scale() -> None:
    rng = stream(0)

    draws = [draw_extent((100, 100), low=0.04, high=0.64, minimum=1, rng=rng) for _ in range(2000)]

    assert np.median(draws) == pytest.approx(16, rel=0.15)


@pytest.mark.parametrize(("low", "high", "minimum"), [(0.0, 0.5, 1), (0.5, 0.2, 1), (0.1, math.inf, 1), (0.1, 0.2, 0)])
def test_draw_extent_refuses_an_impossible_range(low: float, high: float, minimum: float) -> None:
    with pytest.raises(InputError, match=r"0 < low <= high"):
        draw_extent((10, 10), low=low, high=high, minimum=minimum, rng=stream(0))


def test_unknown_shape_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'hexagon'.*scratch, crack"):
        draw_mask("hexagon", (10, 10), extent=5, rng=stream(0))


@pytest.mark.parametrize(("size", "extent"), [((0, 10), 5.0), ((10, 10), math.nan), ((10, 10), 0.0)])
def test_size_and_extent_must_be_positive(size: tuple[int, int], extent: float) -> None:
    with pytest.raises(InputError, match="positive, finite"):
        draw_mask("blob", size, extent=extent, rng=stream(0))


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (np.zeros((10, 10), bool), "no pixel"),
        (np.ones((10, 11), bool), "size of the image"),
        (np.ones((10, 10), np.uint8), "must be bool"),
    ],
)
def test_allowed_area_is_checked(allowed: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw_mask("blob", (10, 10), extent=5, rng=stream(0), allowed=allowed)
