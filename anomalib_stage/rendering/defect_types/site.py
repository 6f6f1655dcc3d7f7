# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The site of a defect: its surroundings, and what is drawn to suit them.

Painters work on a *site*: the mask's bounding box with a small margin. Everything they need to stay plausible is
measured there once: the surface's colour, contrast, grain and sharpness, and the distance of each pixel from the edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from anomalib_stage.rendering.defect_types.measured_site import MeasuredSite
from anomalib_stage.rendering.defect_types.surface_statistics import (
    LUMA,
    compute_luma,
    estimate_grain,
    estimate_softness,
    find_levels,
)

__all__ = ["Site", "find_site"]

_MARGIN = 8  # pixels of surface around the mask's bounding box that the statistics are taken from


@dataclass(frozen=True)
class Site(MeasuredSite):
    """A cut-out of the surface and its defect mask; draws numbers and fields that suit them."""

    def draw_strength(self, *, strongest: float = 0.5) -> float:
        """Draw a brightness change: log-uniform from just above the surface's own variation to ``strongest``."""
        weakest = min(max(2.5 * self.roughness, 0.04), 0.7 * strongest)
        return float(np.exp(self.rng.uniform(math.log(weakest), math.log(strongest))))

    def happens(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)

    def draw_sign(self, *, bright: float = 0.5) -> float:
        """Draw the direction of a change: +1 with probability ``bright``, less often where there is no room above."""
        room = np.clip([1.1 - self.level, self.level + 0.1], 0.02, 0.6) * (bright, 1 - bright)
        return 1.0 if self.happens(float(room[0] / room.sum())) else -1.0

    def draw_tint(self, *, spread: float) -> np.ndarray:
        """Draw a colour factor ``(3,)`` around 1; grey surfaces nearly always get grey defects."""
        likely = 0.0 if self.chroma == 0 else 0.3 if self.chroma < 0.05 else 0.6
        if not self.happens(likely):
            return np.ones(3, np.float32)
        if self.happens(0.6):  # rust, oil, resin: red over green over blue, or the reverse
            drawn = np.array([1.0, 0.3, -1.0]) * self.rng.uniform(-0.4, 1.0) * spread
        else:
            drawn = spread * self.rng.uniform(-1, 1, 3)
        return np.asarray(1 + drawn - drawn @ LUMA, np.float32)

    def draw_colour(self, brightness: float, *, spread: float = 0.5) -> np.ndarray:
        """Draw the colour ``(3,)`` of something with this brightness, sometimes of the surface's own hue."""
        hue = self.colour / max(self.level, 0.02) if self.happens(0.5) else np.ones(3)
        return np.asarray(np.clip(brightness * hue * self.draw_tint(spread=spread), 0, 1), np.float32)

    def draw_field(self, scale: float) -> np.ndarray:
        """Draw smooth noise ``(h, w)`` of about zero mean and unit deviation with bumps of ``scale`` pixels."""
        height, width = self.mask.shape
        coarse = (max(2, round(height / scale) + 1), max(2, round(width / scale) + 1))
        values = self.rng.standard_normal(coarse, dtype=np.float32)
        noise: np.ndarray = cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC)
        return noise * 1.3

    def draw_rough_field(self, scale: float) -> np.ndarray:
        """Draw noise of three octaves below ``scale`` pixels, ``(h, w)``, about unit deviation."""
        octaves = [share * self.draw_field(max(scale / step, 1.0)) for share, step in ((0.7, 1), (0.5, 2), (0.4, 4))]
        return np.asarray(sum(octaves), np.float32)

    def draw_streaks(self) -> np.ndarray:
        """Draw noise stretched along one random direction, ``(h, w)``, about unit deviation."""
        height, width = self.mask.shape
        angle = self.rng.uniform(0, 180)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        turn[:, :2] *= np.array([self.rng.uniform(0.05, 0.3), 1 / self.rng.uniform(1.2, 4.0)])
        turn[:, 2] += 8
        source = self.rng.standard_normal((24, 64), dtype=np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        noise: np.ndarray = cv2.warpAffine(source, turn, (width, height), flags=flags, borderMode=cv2.BORDER_WRAP)
        return noise * 1.3

    def draw_light(self) -> tuple[float, float]:
        """Draw the direction that light comes from: unit vector ``(x, y)`` in the image plane."""
        angle = self.rng.uniform(0, 2 * math.pi)
        return math.cos(angle), math.sin(angle)

    def compute_relief(self, height: np.ndarray, light: tuple[float, float]) -> np.ndarray:
        """Shade a height field: bright on slopes facing the light, dark behind; largest value 1 inside the mask."""
        height = cv2.copyMakeBorder(height.astype(np.float32), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        right = height[1:-1, 2:] - height[1:-1, :-2]
        down = height[2:, 1:-1] - height[:-2, 1:-1]
        shade = -(light[0] * right + light[1] * down)
        return np.asarray(shade / max(float(np.abs(shade[self.mask]).max()), 1e-6), np.float32)

    def compute_shadow(self, light: tuple[float, float], *, reach: float) -> np.ndarray:
        """Share of light that the mask's own edge keeps away, ``(h, w)`` in [0, 1]: 1 next to the edge facing it."""
        move = np.array([[1, 0, reach * light[0]], [0, 1, reach * light[1]]], np.float32)
        outside = (~self.mask).astype(np.float32)
        height, width = self.mask.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cast = cv2.warpAffine(outside, move, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        soft: np.ndarray = cv2.GaussianBlur(cast, (0, 0), max(0.35 * reach, 0.5))
        return soft

    def compute_rim(self, width: float) -> np.ndarray:
        """1 at the mask's edge, falling off towards the inside over ``width`` pixels, ``(h, w)``."""
        return np.asarray(np.exp(-np.maximum(self.depth - 0.5, 0) / max(width, 0.3)), np.float32)

    def draw_noise(self) -> np.ndarray:
        """Draw camera noise ``(h, w, 3)`` with the surface's grain and sharpness."""
        height, width = self.mask.shape
        channels = 1 if self.chroma == 0 or self.happens(0.5) else 3
        white: np.ndarray = self.rng.standard_normal((height, width, channels), dtype=np.float32)
        if self.softness > 0.35:
            white = cv2.GaussianBlur(white, (0, 0), self.softness)
            white = white / max(float(white.std()), 1e-6)
        return np.asarray(self.grain * white.reshape(height, width, channels), np.float32)


def find_site(surface: np.ndarray, mask: np.ndarray, *, rng: np.random.Generator) -> tuple[Site, tuple[slice, slice]]:
    """Cut out a site and measure it.

    Args:
        surface (np.ndarray): ``(H, W, 3)``, float32, [0, 1].
        mask (np.ndarray): ``(H, W)``, bool, with at least one pixel set.
        rng (np.random.Generator): Stream of the site's draws.

    Returns:
        tuple[Site, tuple[slice, slice]]: The site, and its rows and columns in the surface.
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    box = (
        slice(max(top - _MARGIN, 0), top + height + _MARGIN),
        slice(max(left - _MARGIN, 0), left + width + _MARGIN),
    )
    patch, cells = np.ascontiguousarray(surface[box]), np.ascontiguousarray(mask[box])
    grey = compute_luma(patch)
    # A frame of outside pixels: a mask that fills the surface has an edge too.
    framed = cv2.copyMakeBorder(cells.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
    site = Site(patch, cells, depth, estimate_grain(grey), estimate_softness(grey), find_levels(surface), rng)
    return site, box
