# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered surfaces: valid pictures of every family and form, the same for the same stream."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.surface_types.fields import draw_noise_field, scatter_cells, turn_frame
from anomalib_stage.rendering.surface_types.objects import FORMS
from anomalib_stage.rendering.surfaces import SURFACES, render_surface

SIZES = ((16, 16), (17, 64), (160, 160), (96, 160), (512, 512), (16, 400), (301, 33))


def stream(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def assert_picture(picture: np.ndarray, size: tuple[int, int]) -> None:
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(16, 130), st.integers(16, 130), st.integers(0, 2**32 - 1))
@example(16, 16, 0)
def test_any_size_and_seed_gives_a_picture(height: int, width: int, seed: int) -> None:
    assert_picture(render_surface((height, width), rng=stream(seed)), (height, width))


@pytest.mark.parametrize("family", SURFACES)
def test_family_renders_every_size_without_warnings(family: str) -> None:
    with np.errstate(all="raise", under="ignore"):
        for seed, size in enumerate(SIZES):
            assert_picture(render_surface(size, rng=stream(seed), family=family), size)


@pytest.mark.parametrize("form", FORMS)
def test_form_keeps_shape_and_changes_the_material(form: str) -> None:
    with np.errstate(all="raise", under="ignore"):
        for seed, size in enumerate(SIZES):
            material = SURFACES["plain"](size, stream(seed))
            before = [layer.copy() for layer in material]
            reflectance, height = FORMS[form](material, rng=stream(seed))
            assert reflectance.shape == height.shape == size
            assert reflectance.dtype == height.dtype == np.float32
            assert np.isfinite(reflectance).all()
            assert np.isfinite(height).all()
            assert not np.array_equal(reflectance, before[0])
            assert all(np.array_equal(layer, kept) for layer, kept in zip(material, before, strict=True))


@pytest.mark.parametrize("family", SURFACES)
def test_family_repeats_with_its_stream_and_not_with_another(family: str) -> None:
    first = [render_surface((48, 64), rng=stream(seed), family=family) for seed in range(8)]
    again = [render_surface((48, 64), rng=stream(seed), family=family) for seed in range(8)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({picture.tobytes() for picture in first}) == 8


@pytest.mark.parametrize("family", SURFACES)
def test_family_is_not_constant(family: str) -> None:
    deviations = [render_surface((64, 64), rng=stream(seed), family=family).std() for seed in range(12)]
    assert np.median(deviations) > 0.01
    assert min(deviations) > 0


def test_families_differ_for_the_same_stream() -> None:
    pictures = {hashlib.sha256(render_surface((64, 64), rng=stream(5), family=name).tobytes()) for name in SURFACES}
    assert len(pictures) == len(SURFACES)


def test_draw_moves_only_the_given_stream() -> None:
    state = str(np.random.get_state())  # noqa: NPY002 - the global stream is what must not move
    rng = stream(3)
    before = rng.bit_generator.state
    render_surface((64, 64), rng=rng)
    assert rng.bit_generator.state != before
    assert str(np.random.get_state()) == state  # noqa: NPY002


def test_draws_are_varied_and_about_half_are_grey() -> None:
    pictures = [render_surface((32, 32), rng=stream(seed)) for seed in range(300)]
    grey = np.mean([np.array_equal(p[..., 0], p[..., 1]) and np.array_equal(p[..., 1], p[..., 2]) for p in pictures])
    assert 0.35 < grey < 0.65
    levels = np.array([picture.mean() for picture in pictures])
    assert levels.min() < 0.1 < 0.8 < levels.max()
    contrasts = np.array([picture.std() for picture in pictures])
    assert np.quantile(contrasts, 0.1) < 0.05  # near-uniform surfaces
    assert np.quantile(contrasts, 0.9) > 0.15  # sharp borders and prints


def test_unknown_family_is_refused_and_named() -> None:
    with pytest.raises(InputError, match=r"'velvet'.*plain"):
        render_surface((32, 32), rng=stream(0), family="velvet")


@pytest.mark.parametrize("size", [(15, 64), (64, 0)])
def test_too_small_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="16 px"):
        render_surface(size, rng=stream(0))


@pytest.mark.parametrize(("period", "stretch"), [(1.0, 1.0), (3.0, 20.0), (40.0, 1.0), (500.0, 6.0)])
def test_noise_is_standardised_whatever_its_scale(period: float, stretch: float) -> None:
    field = draw_noise_field((50, 70), period=period, rng=stream(1), octaves=2, stretch=stretch)
    assert field.shape == (50, 70)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 1e-3
    assert abs(field.std() - 1) < 1e-3


def test_noise_is_smoother_with_a_longer_period_and_along_its_stretch() -> None:
    def roughness(axis: int, period: float, stretch: float = 1.0) -> float:
        return float(
            np.diff(draw_noise_field((96, 96), period=period, rng=stream(2), stretch=stretch), axis=axis).std()
        )

    assert roughness(0, period=2) > 3 * roughness(0, period=16)
    assert roughness(0, period=2, stretch=12) > 3 * roughness(1, period=2, stretch=12)


def test_cells_label_each_pixel_by_its_nearest_point() -> None:
    near, label = scatter_cells((60, 80), 10.0, rng=stream(4))
    assert near.shape == label.shape == (60, 80)
    assert near.min() >= 0
    assert near.max() < 2 * 10.0 * 2**0.5
    assert len(np.unique(label)) > 30


def test_turned_frame_covers_the_whole_picture() -> None:
    @turn_frame
    def white(size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(size, np.float32), np.zeros(size, np.float32)

    for seed in range(20):
        reflectance, height = white((40, 90), stream(seed))
        assert reflectance.shape == height.shape == (40, 90)
        assert np.allclose(reflectance, 1)
