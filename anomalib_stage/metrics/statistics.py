# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of an anomaly against the surface around it: tone, contrast, spectrum, grain, grid, colour, seam.

Ratios are binary logarithms, inside over around: 0 is the surface itself, 1 twice as much, -1 half. A statistic that a
small or thin mask cannot carry is NaN; so are those of colour in a grey picture.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Plane = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["STATISTICS", "build_feature_table", "compute_statistics"]

STATISTICS: dict[str, str] = {
    "tone": "mean inside minus mean around, grey levels",
    "contrast": "deviation of grey levels, log2 ratio",
    "detail_2": "strength of detail of 2 to 4 px (grain), log2 ratio",
    "detail_4": "strength of detail of 4 to 8 px, log2 ratio",
    "detail_8": "strength of detail of 8 to 16 px, log2 ratio",
    "detail_16": "strength of detail of 16 to 32 px, log2 ratio",
    "tails": "kurtosis of the grain, log2 ratio",
    "smoothness": "correlation of the grain with that of the next pixel, difference",
    "ripple": "correlation of the grain with that two pixels away, difference",
    "grid_2": "pattern with a period of two pixels (cells of the codec), log2 of its power over chance",
    "grid_8": "steps every eight pixels (JPEG), log2 ratio",
    "colour": "strength of colour noise, log2 ratio",
    "colour_link": "correlation of the grain between colours, difference",
    "direction": "horizontal over vertical detail, log2 ratio, without sign",
    "levels": "entropy of the grey levels, bits, difference",
    "seam": "gradient across the mask's edge over that of its neighbours, log2 ratio",
    "edge": "gradient across the mask's edge over that around, log2 ratio",
    "step": "mean step at the mask's edge over unevenness around, log2 ratio",
}
"""Names and meanings, in the order of tables."""

FLOOR = 0.25
"""Grey levels added to both sides of a ratio: rounding to 8 bits alone makes about as much."""

SCALES = (0.0, 0.7, 1.4, 2.8, 5.6)
"""Deviations in pixels of the Gaussians between which details are measured, an octave apart."""

FEWEST = 16
"""Fewest pixels, or pairs of pixels, that a statistic is measured on."""


def compute_statistics(cut: Crop) -> dict[str, float]:
    """Measure an anomaly.

    Args:
        cut (Cut): The anomaly.

    Returns:
        dict[str, float]: A value, or NaN, for each of :data:`STATISTICS`.
    """
    inside, around = _Part(cut, cut.mask), _Part(cut, cut.around)
    found = {
        "tone": inside.mean - around.mean,
        "contrast": _ratio(inside.deviation, around.deviation),
        "tails": _logarithm(inside.kurtosis) - _logarithm(around.kurtosis),
        "smoothness": inside.correlation(1) - around.correlation(1),
        "ripple": inside.correlation(2) - around.correlation(2),
        "grid_2": inside.grid_of_two,
        "grid_8": inside.grid_of_eight - around.grid_of_eight,
        "colour": _ratio(inside.colour_noise, around.colour_noise),
        "colour_link": inside.colour_link - around.colour_link,
        "direction": abs(inside.direction - around.direction),
        "levels": inside.entropy - around.entropy,
    }
    found |= {
        f"detail_{2 ** (i + 1)}": _ratio(*pair)
        for i, pair in enumerate(zip(inside.details, around.details, strict=True))
    }
    found |= _edge(cut, inside, around)
    return {name: float(found[name]) for name in STATISTICS}


def build_feature_table(cuts: Sequence[Crop]) -> dict[str, NDArray[np.float64]]:
    """Measure anomalies: for each of :data:`STATISTICS` an array with one value for each cut."""
    rows = [compute_statistics(cut) for cut in cuts]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in STATISTICS}


class _Part:
    """Some pixels of a cut: what lies outside of them is never looked at."""

    def __init__(self, cut: Crop, where: Mask) -> None:
        self.where, self.origin = where, cut.origin
        self.colours = cut.pixels.astype(np.float32)
        grey = bool((cut.pixels == cut.pixels[..., :1]).all())
        self.coloured = not grey and int(where.sum()) >= FEWEST
        self.grey: Plane = self.colours.mean(axis=2)
        self.values = self.grey[where]
        self.mean, self.deviation = float(self.values.mean()), float(self.values.std())
        padded = np.pad(where, 1).astype(np.uint8)
        self.thickness = float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max())

    def smoothed(self, plane: Plane, scale: float) -> Plane:
        """Gaussian mean over the pixels of this part alone."""
        if not scale:
            return plane
        weight = self.where.astype(np.float32)
        top, bottom = (
            cv2.GaussianBlur(p, (0, 0), scale, borderType=cv2.BORDER_CONSTANT) for p in (plane * weight, weight)
        )
        return np.asarray(top / np.maximum(bottom, 1e-6), dtype=np.float32)

    def detail(self, plane: Plane, octave: int = 0) -> Plane:
        """What one Gaussian keeps and the next one takes away; 0 outside this part."""
        fine, coarse = (self.smoothed(plane, SCALES[octave + i]) for i in (0, 1))
        return np.asarray((fine - coarse) * self.where, dtype=np.float32)

    @cached_property
    def grain(self) -> Plane:
        return self.detail(self.grey)

    @cached_property
    def details(self) -> list[float]:
        """Strength of the details in each octave; NaN where this part is too thin for it."""
        wide = [self.thickness >= 1.5 * scale and len(self.values) >= FEWEST for scale in SCALES[1:]]
        return [_rms(self.detail(self.grey, i)[self.where]) if fits else np.nan for i, fits in enumerate(wide)]

    @property
    def kurtosis(self) -> float:
        values = self.grain[self.where]
        power = float(np.square(values).mean()) + FLOOR**2
        return float(np.power(values, 4).mean() + 3 * FLOOR**4) / power**2 if len(values) >= FEWEST else np.nan

    def correlation(self, lag: int) -> float:
        """Correlation of the grain with the grain ``lag`` pixels further, along rows and columns."""
        products = []
        for axis in (0, 1):
            first, second = _pairs(self.grain, axis, lag)
            products.append((first * second)[self.both(axis, lag)])
        found = np.concatenate(products)
        power = float(np.square(self.grain[self.where]).mean()) + FLOOR**2
        return float(found.mean()) / power if len(found) >= FEWEST else np.nan

    def both(self, axis: int, lag: int = 1) -> Mask:
        """Pairs of pixels along an axis that both belong to this part."""
        first, second = _pairs(self.where, axis, lag)
        return np.asarray(first & second, dtype=np.bool_)

    def gradient(self, axis: int) -> NDArray[np.float32]:
        """Absolute differences of neighbours of this part along an axis."""
        first, second = _pairs(self.grey, axis)
        return np.asarray(np.abs(second - first)[self.both(axis)], dtype=np.float32)

    @property
    def direction(self) -> float:
        across, along = self.gradient(1), self.gradient(0)
        return _ratio(float(across.mean()), float(along.mean())) if min(len(across), len(along)) >= FEWEST else np.nan

    @property
    def grid_of_two(self) -> float:
        """Power of the three patterns with a period of two pixels, each over what white grain has by chance."""
        values = self.grain[self.where]
        if len(values) < 4 * FEWEST:
            return np.nan
        rows, cols = np.nonzero(self.where)
        rows, cols = rows + self.origin[0], cols + self.origin[1]
        power = float(np.square(values).mean()) + FLOOR**2
        found = [float(np.mean(values * (1 - 2 * (at % 2)))) ** 2 for at in (rows, cols, rows + cols)]
        return _logarithm(sum(found) * len(values) / power / 3 + 0.1)

    @property
    def grid_of_eight(self) -> float:
        """Gradients at the borders of blocks of eight pixels over those elsewhere."""
        border, rest = [], []
        for axis in (0, 1):
            at = np.nonzero(self.both(axis))[axis] + self.origin[axis]
            steps = self.gradient(axis)
            border.append(steps[at % 8 == 7])
            rest.append(steps[at % 8 != 7])
        first, second = np.concatenate(border), np.concatenate(rest)
        return _ratio(float(first.mean()), float(second.mean())) if len(first) >= FEWEST else np.nan

    @cached_property
    def colour_details(self) -> list[Plane]:
        return [self.detail(np.ascontiguousarray(self.colours[..., i]))[self.where] for i in range(3)]

    @property
    def colour_noise(self) -> float:
        if not self.coloured:
            return np.nan
        red, green, blue = self.colour_details
        return _rms(np.concatenate([red - green, blue - green]))

    @property
    def colour_link(self) -> float:
        if not self.coloured:
            return np.nan
        red, green, blue = self.colour_details
        power = [float(np.square(plane).mean()) + FLOOR**2 for plane in (red, green, blue)]
        shared = [float((a * b).mean()) + FLOOR**2 for a, b in ((red, green), (green, blue))]
        return float(shared[0] / (power[0] * power[1]) ** 0.5 + shared[1] / (power[1] * power[2]) ** 0.5) / 2

    @property
    def entropy(self) -> float:
        if len(self.values) < FEWEST:
            return np.nan
        share = np.histogram(self.values, bins=32, range=(0, 256))[0] / len(self.values)
        return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def _edge(cut: Crop, inside: _Part, around: _Part) -> dict[str, float]:
    """Compare what happens across the mask's edge with its neighbourhood."""
    across, beside = (np.concatenate(parts) for parts in zip(*_crossings(inside), strict=True))
    roughness = np.concatenate([around.gradient(axis) for axis in (0, 1)])
    outside = _Part(cut, ~cut.mask)
    rim = cv2.dilate(cut.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    steps = (inside.smoothed(inside.grey, 1.4) - outside.smoothed(inside.grey, 1.4))[rim & ~cut.mask]
    uneven = (around.smoothed(around.grey, 1.4) - around.smoothed(around.grey, 5.6))[cut.around]
    return {
        "seam": _ratio(float(across.mean()), float(beside.mean())) if min(len(across), len(beside)) >= 4 else np.nan,
        "edge": _ratio(float(across.mean()), float(roughness.mean())) if len(across) and len(roughness) else np.nan,
        "step": _ratio(_rms(steps), _rms(uneven)) if len(steps) else np.nan,
    }


def _crossings(inside: _Part) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield, along each axis, the gradients across the mask's edge and those of the next pairs on both sides."""
    for axis in (0, 1):
        first, second = _pairs(inside.grey, axis)
        steps = np.abs(second - first)
        crossing = np.not_equal(*_pairs(inside.where, axis))
        ahead, behind = _pairs(crossing, axis)
        near = np.zeros_like(crossing)
        low, high = _pairs(near, axis)
        low |= behind
        high |= ahead
        yield steps[crossing], steps[near & ~crossing]


def _pairs(plane: NDArray[Any], axis: int, lag: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """Views of the first and of the second pixels of all pairs along an axis."""
    return (plane[:-lag], plane[lag:]) if axis == 0 else (plane[:, :-lag], plane[:, lag:])


def _rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _ratio(one: float, other: float) -> float:
    return _logarithm((one + FLOOR) / (other + FLOOR))


def _logarithm(value: float) -> float:
    return float(np.log2(value))
