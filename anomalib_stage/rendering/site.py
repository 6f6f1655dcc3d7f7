# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The place where a defect is painted: what its surroundings look like, and fields that follow the mask.

Painters work on a *site*: the mask's bounding box with a small margin. Everything they need to stay plausible is
measured here once: the surface's colour, contrast, grain and sharpness, and the distance of each pixel from the edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

__all__ = ["Site", "find_site", "luma"]

_MARGIN = 8  # pixels of surface around the mask's bounding box that the statistics are taken from
_LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # J. Immerkaer, CVIU 64(2), 1996: norm 6
_QUARTILE = 0.3186  # 25th percentile of |N(0, 1)|: the grain of the quietest parts, not the texture of the others
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


def luma(image: np.ndarray) -> np.ndarray:
    """Brightness ``(..., H, W)`` of an RGB image ``(..., H, W, 3)``, in the image's units."""
    brightness: np.ndarray = image @ _WEIGHTS
    return brightness


@dataclass(frozen=True)
class Site:
    """A cut-out of the surface and its defect mask.

    Attributes:
        patch (np.ndarray): ``(h, w, 3)``, float32, [0, 1]: the clean surface.
        mask (np.ndarray): ``(h, w)``, bool: the defect.
        depth (np.ndarray): ``(h, w)``, float32: distance of mask pixels from the outside in pixels, 1 at the edge.
        grain (float): Standard deviation of the camera noise.
        softness (float): Sigma in pixels of the camera's blur, about.
        levels (tuple[float, float] | None): Dark and bright level of a surface that has only two.
        rng (np.random.Generator): Stream that every draw comes from.
    """

    patch: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    grain: float
    softness: float
    levels: tuple[float, float] | None
    rng: np.random.Generator

    # -- measured ------------------------------------------------------------------------------------------------------

    @cached_property
    def grey(self) -> np.ndarray:
        """Brightness of the clean surface, ``(h, w)``."""
        return luma(self.patch)

    @cached_property
    def around(self) -> np.ndarray:
        """Pixels of the surface next to the mask, ``(N, 3)``; those under it where the mask leaves too few."""
        near = self.patch[~self.mask]
        return near if len(near) >= 16 else self.patch.reshape(-1, 3)

    @cached_property
    def colour(self) -> np.ndarray:
        """Mean colour of the surface around the mask, ``(3,)``."""
        return np.asarray(self.around.mean(axis=0))

    @cached_property
    def level(self) -> float:
        """Mean brightness of the surface around the mask."""
        return float(luma(self.colour))

    @cached_property
    def roughness(self) -> float:
        """Brightness variation that a defect competes with: grain and a part of the texture's contrast."""
        return math.hypot(self.grain, 0.45 * float(luma(self.around).std()))

    @cached_property
    def chroma(self) -> float:
        """Largest difference between the mean colour's channels; exactly 0 for a grey-scale camera."""
        spread = np.abs(self.patch - self.patch[..., :1]).max()
        return float(np.ptp(self.colour)) if spread > 1e-4 else 0.0

    @cached_property
    def smooth(self) -> np.ndarray:
        """The surface without grain and fine texture, ``(h, w, 3)``."""
        return cv2.GaussianBlur(self.patch, (0, 0), 1.5)

    @cached_property
    def thickness(self) -> float:
        """Largest distance from the mask's edge in pixels."""
        return float(self.depth.max())

    @cached_property
    def inner(self) -> np.ndarray:
        """Depth as a fraction of the largest depth, ``(h, w)``: about 0 at the edge, 1 in the middle."""
        return np.asarray(self.depth / self.thickness)

    @cached_property
    def extent(self) -> int:
        """Longest side of the cut-out in pixels."""
        height, width = self.mask.shape
        return int(max(height, width))

    # -- drawn ---------------------------------------------------------------------------------------------------------

    def strength(self, *, strongest: float = 0.5) -> float:
        """Draw a brightness change: log-uniform from just above the surface's own variation to ``strongest``."""
        weakest = min(max(2.5 * self.roughness, 0.04), 0.7 * strongest)
        return float(np.exp(self.rng.uniform(math.log(weakest), math.log(strongest))))

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)

    def sign(self, *, bright: float = 0.5) -> float:
        """Draw the direction of a change: +1 with probability ``bright``, less often where there is no room above."""
        room = np.clip([1.1 - self.level, self.level + 0.1], 0.02, 0.6) * (bright, 1 - bright)
        return 1.0 if self.chance(float(room[0] / room.sum())) else -1.0

    def tint(self, *, spread: float) -> np.ndarray:
        """Draw a colour factor ``(3,)`` around 1; grey surfaces nearly always get grey defects."""
        likely = 0.0 if self.chroma == 0 else 0.3 if self.chroma < 0.05 else 0.6
        if not self.chance(likely):
            return np.ones(3, np.float32)
        if self.chance(0.6):  # rust, oil, resin: red over green over blue, or the reverse
            drawn = np.array([1.0, 0.3, -1.0]) * self.rng.uniform(-0.4, 1.0) * spread
        else:
            drawn = spread * self.rng.uniform(-1, 1, 3)
        return np.asarray(1 + drawn - drawn @ _WEIGHTS, np.float32)

    def material(self, brightness: float, *, spread: float = 0.5) -> np.ndarray:
        """Draw the colour ``(3,)`` of something with this brightness, sometimes of the surface's own hue."""
        hue = self.colour / max(self.level, 0.02) if self.chance(0.5) else np.ones(3)
        return np.asarray(np.clip(brightness * hue * self.tint(spread=spread), 0, 1), np.float32)

    def field(self, scale: float) -> np.ndarray:
        """Draw smooth noise ``(h, w)`` of about zero mean and unit deviation with bumps of ``scale`` pixels."""
        height, width = self.mask.shape
        coarse = (max(2, round(height / scale) + 1), max(2, round(width / scale) + 1))
        values = self.rng.standard_normal(coarse, dtype=np.float32)
        noise: np.ndarray = cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC)
        return noise * 1.3

    def rough(self, scale: float) -> np.ndarray:
        """Draw noise of three octaves below ``scale`` pixels, ``(h, w)``, about unit deviation."""
        octaves = [share * self.field(max(scale / step, 1.0)) for share, step in ((0.7, 1), (0.5, 2), (0.4, 4))]
        return np.asarray(sum(octaves), np.float32)

    def streaks(self) -> np.ndarray:
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

    def light(self) -> tuple[float, float]:
        """Draw the direction that light comes from: unit vector ``(x, y)`` in the image plane."""
        angle = self.rng.uniform(0, 2 * math.pi)
        return math.cos(angle), math.sin(angle)

    def relief(self, height: np.ndarray, light: tuple[float, float]) -> np.ndarray:
        """Shade a height field: bright on slopes facing the light, dark behind; largest value 1 inside the mask."""
        height = cv2.copyMakeBorder(height.astype(np.float32), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        right = height[1:-1, 2:] - height[1:-1, :-2]
        down = height[2:, 1:-1] - height[:-2, 1:-1]
        shade = -(light[0] * right + light[1] * down)
        return np.asarray(shade / max(float(np.abs(shade[self.mask]).max()), 1e-6), np.float32)

    def shadow(self, light: tuple[float, float], *, reach: float) -> np.ndarray:
        """Share of light that the mask's own edge keeps away, ``(h, w)`` in [0, 1]: 1 next to the edge facing it."""
        move = np.array([[1, 0, reach * light[0]], [0, 1, reach * light[1]]], np.float32)
        outside = (~self.mask).astype(np.float32)
        height, width = self.mask.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cast = cv2.warpAffine(outside, move, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        soft: np.ndarray = cv2.GaussianBlur(cast, (0, 0), max(0.35 * reach, 0.5))
        return soft

    def rim(self, width: float) -> np.ndarray:
        """1 at the mask's edge, falling off towards the inside over ``width`` pixels, ``(h, w)``."""
        return np.asarray(np.exp(-np.maximum(self.depth - 0.5, 0) / max(width, 0.3)), np.float32)

    def noise(self) -> np.ndarray:
        """Draw camera noise ``(h, w, 3)`` with the surface's grain and sharpness."""
        height, width = self.mask.shape
        channels = 1 if self.chroma == 0 or self.chance(0.5) else 3
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
    grey = luma(patch)
    # A frame of outside pixels: a mask that fills the surface has an edge too.
    framed = cv2.copyMakeBorder(cells.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
    site = Site(patch, cells, depth, _grain(grey), _softness(grey), _levels(surface), rng)
    return site, box


def _grain(grey: np.ndarray) -> float:
    """Standard deviation of the noise in the quiet parts of a picture ``(h, w)``."""
    if min(grey.shape) < 5:
        return 0.0
    residual = np.abs(cv2.filter2D(grey, -1, _LAPLACE)[1:-1, 1:-1]).ravel()
    residual = residual[:: max(1, len(residual) // 4096)]
    return float(min(np.partition(residual, len(residual) // 4)[len(residual) // 4] / (6 * _QUARTILE), 0.08))


def _softness(grey: np.ndarray) -> float:
    """Sigma of the blur in pixels, from how alike neighbours are: 0 for white noise, about 1 for a soft picture."""
    if min(grey.shape) < 5:
        return 0.5
    near, far = grey[:, 1:] - grey[:, :-1], grey[:, 2:] - grey[:, :-2]
    ratio = float((near**2).mean() / max((far**2).mean(), 1e-9))  # 1 for white noise, 1/4 for straight slopes
    return float(np.clip(1.3 * (0.95 - ratio), 0.0, 1.0))


def _levels(surface: np.ndarray) -> tuple[float, float] | None:
    """Dark and bright level of a black-and-white surface, None for any other (Otsu's criterion on a subsample)."""
    step = max(1, min(surface.shape[:2]) // 48)
    sample = np.clip(luma(surface[::step, ::step]) * 255, 0, 255).astype(np.uint8)
    _, split = cv2.threshold(sample, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    share = float(split.mean())
    if not 0.03 < share < 0.97:
        return None
    dark, bright = float(sample[split == 0].mean()), float(sample[split == 1].mean())
    between = share * (1 - share) * (bright - dark) ** 2 / max(float(sample.var()), 1e-6)
    return (dark / 255, bright / 255) if between > 0.9 and bright - dark > 80 else None
