# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Some pixels of a crop, the anomaly or the surface around it, and what is measured on them alone.

A measure that a small or thin group cannot carry is NaN; so are those of colour in a grey picture.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.metrics.log_ratios import (
    FEWEST,
    FLOOR,
    compute_log2,
    compute_log_ratio,
    compute_rms,
    pair_neighbours,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Plane = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["PixelGroup"]


SCALES = (0.0, 0.7, 1.4, 2.8, 5.6)
"""Deviations in pixels of the Gaussians between which details are measured, an octave apart."""


class PixelGroup:
    """Some pixels of a crop: what lies outside of them is never looked at."""

    def __init__(self, crop: Crop, where: Mask) -> None:
        self.where, self.origin = where, crop.origin
        self.colours = crop.pixels.astype(np.float32)
        grey = bool((crop.pixels == crop.pixels[..., :1]).all())
        self.coloured = not grey and int(where.sum()) >= FEWEST
        self.grey: Plane = self.colours.mean(axis=2)
        self.values = self.grey[where]
        self.mean, self.deviation = float(self.values.mean()), float(self.values.std())
        padded = np.pad(where, 1).astype(np.uint8)
        self.thickness = float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max())

    def smooth(self, plane: Plane, scale: float) -> Plane:
        """Gaussian mean over the pixels of this group alone."""
        if not scale:
            return plane
        weight = self.where.astype(np.float32)
        top, bottom = (
            cv2.GaussianBlur(p, (0, 0), scale, borderType=cv2.BORDER_CONSTANT) for p in (plane * weight, weight)
        )
        return np.asarray(top / np.maximum(bottom, 1e-6), dtype=np.float32)

    def extract_detail(self, plane: Plane, octave: int = 0) -> Plane:
        """What one Gaussian keeps and the next one takes away; 0 outside this group."""
        fine, coarse = (self.smooth(plane, SCALES[octave + i]) for i in (0, 1))
        return np.asarray((fine - coarse) * self.where, dtype=np.float32)

    @cached_property
    def grain(self) -> Plane:
        """Detail of the finest octave; 0 outside this group."""
        return self.extract_detail(self.grey)

    @cached_property
    def details(self) -> list[float]:
        """Strength of the details in each octave; NaN where this group is too thin for it."""
        wide = [self.thickness >= 1.5 * scale and len(self.values) >= FEWEST for scale in SCALES[1:]]
        return [
            compute_rms(self.extract_detail(self.grey, i)[self.where]) if fits else np.nan
            for i, fits in enumerate(wide)
        ]

    @property
    def kurtosis(self) -> float:
        """Kurtosis of the grain: 3 for Gaussian noise."""
        values = self.grain[self.where]
        power = float(np.square(values).mean()) + FLOOR**2
        return float(np.power(values, 4).mean() + 3 * FLOOR**4) / power**2 if len(values) >= FEWEST else np.nan

    def compute_correlation(self, lag: int) -> float:
        """Correlation of the grain with the grain ``lag`` pixels further, along rows and columns."""
        products = []
        for axis in (0, 1):
            first, second = pair_neighbours(self.grain, axis, lag)
            products.append((first * second)[self.find_pairs(axis, lag)])
        found = np.concatenate(products)
        power = float(np.square(self.grain[self.where]).mean()) + FLOOR**2
        return float(found.mean()) / power if len(found) >= FEWEST else np.nan

    def find_pairs(self, axis: int, lag: int = 1) -> Mask:
        """Pairs of pixels along an axis that both belong to this group."""
        first, second = pair_neighbours(self.where, axis, lag)
        return np.asarray(first & second, dtype=np.bool_)

    def compute_gradient(self, axis: int) -> NDArray[np.float32]:
        """Absolute differences of neighbours of this group along an axis."""
        first, second = pair_neighbours(self.grey, axis)
        return np.asarray(np.abs(second - first)[self.find_pairs(axis)], dtype=np.float32)

    @property
    def direction(self) -> float:
        """Horizontal over vertical detail, binary logarithm."""
        across, along = self.compute_gradient(1), self.compute_gradient(0)
        return (
            compute_log_ratio(float(across.mean()), float(along.mean()))
            if min(len(across), len(along)) >= FEWEST
            else np.nan
        )

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
        return compute_log2(sum(found) * len(values) / power / 3 + 0.1)

    @property
    def grid_of_eight(self) -> float:
        """Gradients at the borders of blocks of eight pixels over those elsewhere."""
        border, rest = [], []
        for axis in (0, 1):
            at = np.nonzero(self.find_pairs(axis))[axis] + self.origin[axis]
            steps = self.compute_gradient(axis)
            border.append(steps[at % 8 == 7])
            rest.append(steps[at % 8 != 7])
        first, second = np.concatenate(border), np.concatenate(rest)
        return compute_log_ratio(float(first.mean()), float(second.mean())) if len(first) >= FEWEST else np.nan

    @cached_property
    def colour_details(self) -> list[Plane]:
        """Grain of each colour at the pixels of this group, ``(N,)`` each."""
        return [self.extract_detail(np.ascontiguousarray(self.colours[..., i]))[self.where] for i in range(3)]

    @property
    def colour_noise(self) -> float:
        """Strength of what the grain of colours does not share."""
        if not self.coloured:
            return np.nan
        red, green, blue = self.colour_details
        return compute_rms(np.concatenate([red - green, blue - green]))

    @property
    def colour_link(self) -> float:
        """Correlation of the grain between neighbouring colours."""
        if not self.coloured:
            return np.nan
        red, green, blue = self.colour_details
        power = [float(np.square(plane).mean()) + FLOOR**2 for plane in (red, green, blue)]
        shared = [float((a * b).mean()) + FLOOR**2 for a, b in ((red, green), (green, blue))]
        return float(shared[0] / (power[0] * power[1]) ** 0.5 + shared[1] / (power[1] * power[2]) ** 0.5) / 2

    @property
    def entropy(self) -> float:
        """Entropy of the grey levels in 32 bins, bits."""
        if len(self.values) < FEWEST:
            return np.nan
        share = np.histogram(self.values, bins=32, range=(0, 256))[0] / len(self.values)
        return float(-(share[share > 0] * np.log2(share[share > 0])).sum())
