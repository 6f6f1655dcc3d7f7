# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural defects: exact outside the mask, visible inside it, with the surface's own grain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES, DEFECT_SHAPES
from anomalib_stage.rendering.defects import paint_defect
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.synthesis.masks.shapes.families import SHAPES

DEFECTS = tuple(defect for defect in DEFECT_NAMES if defect != "good")
SURFACES = ("plain", "grey noise", "soft colour", "stripes", "black and white", "black", "white")

defects = st.sampled_from(DEFECTS)
surfaces = st.sampled_from(SURFACES)
seeds = st.integers(0, 2**32 - 1)
examples = settings(max_examples=80, deadline=None, derandomize=True)


def stream(seed: int) -> np.random.Generator:
    """Return a random stream."""
    return np.random.default_rng(seed)


def surface_of(name: str, size: tuple[int, int] = (72, 96), seed: int = 0) -> np.ndarray:
    """Render a simple surface, ``(H, W, 3)``, float32, [0, 1]."""
    noise = stream(seed).standard_normal(size).astype(np.float32)
    grey = {
        "plain": np.full(size, 0.5, np.float32),
        "grey noise": 0.5 + 0.05 * noise,
        "soft colour": 0.5 + cv2.GaussianBlur(noise, (0, 0), 2) * 0.4,
        "stripes": 0.5 + 0.2 * np.sin(np.arange(size[1], dtype=np.float32) / 3) + 0.01 * noise,
        "black and white": np.where(cv2.GaussianBlur(noise, (0, 0), 5) > 0, 0.95, 0.05),
        "black": np.zeros(size, np.float32),
        "white": np.ones(size, np.float32),
    }[name]
    tint = np.array([1.1, 0.9, 0.6]) if "colour" in name else np.ones(3)
    return np.asarray(np.clip(grey[..., None] * tint, 0, 1), np.float32)


def change_of(surface: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Largest change over the channels, ``(H, W)``."""
    change: np.ndarray = np.abs(painted - surface).max(axis=-1)
    return change


def test_every_kind_has_known_shapes() -> None:
    assert set(DEFECT_SHAPES) == set(DEFECT_NAMES)
    assert all(shape in SHAPES for shapes in DEFECT_SHAPES.values() for shape in shapes)


@examples
@given(defect=defects, name=surfaces, extent=st.floats(1.0, 100.0), seed=seeds, pick=st.integers(0, 5))
def test_defect_is_exact_outside_and_visible_inside(
    defect: str, name: str, extent: float, seed: int, pick: int
) -> None:
    surface = surface_of(name)
    shape = DEFECT_SHAPES[defect][pick % len(DEFECT_SHAPES[defect])]
    mask = draw_mask(shape, (72, 96), extent=extent, rng=stream(seed))
    before = surface.copy()

    painted = paint_defect(surface, mask, defect=defect, rng=stream(seed))

    change = change_of(surface, painted)
    assert np.array_equal(surface, before)
    assert np.array_equal(painted[~mask], surface[~mask])
    assert painted.dtype == np.float32
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert (change[mask] > 2 / 255).mean() >= 0.8
    assert change[mask].mean() > 4 / 255


@pytest.mark.parametrize("defect", DEFECTS)
def test_change_stays_visible_in_eight_bits(defect: str) -> None:
    surface = np.round(surface_of("grey noise") * 255).astype(np.float32) / 255
    mask = draw_mask(DEFECT_SHAPES[defect][0], (72, 96), extent=40, rng=stream(5))

    painted = paint_defect(surface, mask, defect=defect, rng=stream(5))

    steps = np.abs(np.round(painted * 255) - np.round(surface * 255)).max(axis=-1)
    assert (steps[mask] > 2).mean() >= 0.8


@examples
@given(defect=defects, seed=seeds, row=st.integers(0, 19), column=st.integers(0, 29))
def test_single_pixels_work_everywhere(defect: str, seed: int, row: int, column: int) -> None:
    surface = surface_of("grey noise", (20, 30))
    mask = np.zeros((20, 30), bool)
    mask[row, column] = True

    painted = paint_defect(surface, mask, defect=defect, rng=stream(seed))

    assert change_of(surface, painted)[row, column] > 2 / 255


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (40, 40)])
def test_mask_may_cover_the_whole_surface(defect: str, size: tuple[int, int]) -> None:
    surface = surface_of("grey noise", size)

    painted = paint_defect(surface, np.ones(size, bool), defect=defect, rng=stream(1))

    assert np.isfinite(painted).all()
    assert (change_of(surface, painted) > 2 / 255).mean() >= 0.8


@examples
@given(defect=defects, name=st.sampled_from(["grey noise", "stripes", "black and white"]), seed=seeds)
def test_grey_surfaces_get_grey_defects(defect: str, name: str, seed: int) -> None:
    mask = draw_mask(DEFECT_SHAPES[defect][0], (72, 96), extent=30, rng=stream(seed))

    painted = paint_defect(surface_of(name), mask, defect=defect, rng=stream(seed))

    assert np.ptp(painted, axis=-1).max() < 2e-3


@pytest.mark.parametrize("defect", DEFECT_NAMES)
def test_same_stream_gives_the_same_defect(defect: str) -> None:
    surface = surface_of("soft colour")
    mask = draw_mask("blob", (72, 96), extent=30, rng=stream(2))

    first, second = (paint_defect(surface, mask, defect=defect, rng=stream(9)) for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects_of_a_kind_differ_in_strength(defect: str) -> None:
    surface = surface_of("plain")
    mask = draw_mask(DEFECT_SHAPES[defect][0], (72, 96), extent=40, rng=stream(4))

    strengths = [
        change_of(surface, paint_defect(surface, mask, defect=defect, rng=stream(seed)))[mask].mean()
        for seed in range(24)
    ]

    assert max(strengths) > 1.6 * min(strengths)


@pytest.mark.parametrize("defect", ["hole", "chip", "contamination"])
def test_opaque_defects_carry_the_surfaces_grain(defect: str) -> None:
    surface = surface_of("grey noise")
    mask = draw_mask("blob", (72, 96), extent=60, rng=stream(4))
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0

    ratios = []
    for seed in range(12):
        painted = paint_defect(surface, mask, defect=defect, rng=stream(seed))
        residual = cv2.Laplacian(painted[..., 1], -1)
        ratios.append(residual[inner].std() / residual[~mask].std())

    assert 0.6 < np.median(ratios) < 2.0


def test_good_is_the_surface_itself() -> None:
    surface = surface_of("soft colour")

    painted = paint_defect(surface, np.ones((72, 96), bool), defect="good", rng=stream(0))

    assert np.array_equal(painted, surface)
    assert painted is not surface


def test_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'rust'.*scratch, crack"):
        paint_defect(surface_of("plain"), np.ones((72, 96), bool), defect="rust", rng=stream(0))


@pytest.mark.parametrize(
    ("surface", "mask", "words"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool), "must be float32"),
        (np.zeros((8, 8), np.float32), np.ones((8, 8), bool), r"\(H, W, 3\)"),
        (np.zeros((8, 8, 3), np.float32), np.ones((8, 9), bool), "mask is bool of shape"),
        (np.zeros((8, 8, 3), np.float32), np.ones((8, 8), np.uint8), "mask is uint8"),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), bool), "no pixel"),
    ],
)
def test_surface_and_mask_are_checked(surface: np.ndarray, mask: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        paint_defect(surface, mask, defect="hole", rng=stream(0))
