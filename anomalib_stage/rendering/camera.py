# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The camera that photographs rendered surfaces: light, colour, lens, sensor, compression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

__all__ = ["photograph"]

GREY_SHARE = 0.5
"""Share of pictures with three equal channels."""


def photograph(reflectance: Field, height: Field, *, rng: np.random.Generator) -> Field:
    """Photograph a surface.

    Args:
        reflectance (NDArray[np.float32]): Reflectance, ``(H, W)``, about [0, 1].
        height (NDArray[np.float32]): Height in pixels, ``(H, W)``.
        rng (np.random.Generator): Source of randomness.

    Returns:
        NDArray[np.float32]: ``(H, W, 3)`` RGB in [0, 1].
    """
    lit = _light_surface(reflectance, height, rng=rng) + _draw_illumination(reflectance.shape, rng=rng)
    picture = _colour(np.clip(lit, 0.0, 1.0), rng=rng)
    picture = _expose(picture, rng=rng)
    picture = _focus(picture, rng=rng)
    picture = _add_sensor_noise(picture, rng=rng)
    return _compress(np.clip(picture, 0.0, 1.0), rng=rng)


def _light_surface(reflectance: Field, height: Field, *, rng: np.random.Generator) -> Field:
    """Slope towards the light brightens; steep slopes facing a second direction glint."""
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.02, 0.25)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8.0
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8.0
    toward = slope_x * math.cos(angle) + slope_y * math.sin(angle)
    shade = np.tanh(2.0 * toward)
    lit = reflectance * (1.0 + 2.0 * strength * shade) + 0.3 * strength * shade
    if rng.random() < 0.35:
        lit = lit + rng.uniform(0.05, 0.3) * np.clip(shade - 0.3, 0, 1) ** 2
    return np.asarray(lit, dtype=np.float32)


def _draw_illumination(size: tuple[int, ...], *, rng: np.random.Generator) -> Field:
    """Gradient, vignette and at times a broad highlight; the picture may be part of a larger scene."""
    ys = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    xs = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    strong = rng.random() < 0.15
    slope = rng.normal(0, 0.16 if strong else 0.04, 2)
    field = slope[0] * ys + slope[1] * xs - abs(rng.normal(0, 0.03)) * (xs**2 + ys**2)
    if rng.random() < 0.2:
        centre, width = rng.uniform(-1.2, 1.2, 2), rng.uniform(0.15, 0.8)
        angle = rng.uniform(0, math.pi)
        u = (xs - centre[0]) * math.cos(angle) + (ys - centre[1]) * math.sin(angle)
        v = (ys - centre[1]) * math.cos(angle) - (xs - centre[0]) * math.sin(angle)
        field = field + rng.uniform(0.05, 0.4) * np.exp(-((u / width) ** 2) - (v / (width * rng.uniform(1, 6))) ** 2)
    return np.asarray(field, dtype=np.float32)


def _colour(grey: Field, *, rng: np.random.Generator) -> Field:
    if rng.random() < GREY_SHARE:
        return np.repeat(grey[..., None], 3, axis=2)
    # a two-colour ramp: shadows and lights of one material differ a little in hue
    hue, spread = rng.uniform(0, 180), rng.normal(0, 12)
    saturation = rng.uniform(0, 60) if rng.random() < 0.75 else rng.uniform(40, 140)
    hsv = np.array([[[hue % 180, saturation, 255], [(hue + spread) % 180, saturation * rng.uniform(0.6, 1.0), 255]]])
    dark, light = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)[0].astype(np.float32) / 255.0
    share = grey[..., None]
    return np.asarray(share * (dark * (1 - share) + light * share), dtype=np.float32)


def _expose(picture: Field, *, rng: np.random.Generator) -> Field:
    gamma, gain = math.exp(rng.normal(0, 0.25)), math.exp(rng.normal(0, 0.12))
    low = abs(rng.normal(0, 0.03))
    return np.asarray(low + (1 - low) * gain * np.clip(picture, 0, None) ** gamma, dtype=np.float32)


def _focus(picture: Field, *, rng: np.random.Generator) -> Field:
    choice = rng.random()
    if choice < 0.6:
        sigma = rng.uniform(0.3, 1.0) if rng.random() < 0.8 else rng.uniform(1.0, 2.2)
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)
    if choice < 0.65:
        length = int(rng.integers(2, 6))
        kernel = np.full((1, length) if rng.random() < 0.5 else (length, 1), 1.0 / length, dtype=np.float32)
        return np.asarray(cv2.filter2D(picture, -1, kernel), dtype=np.float32)
    return picture


def _add_sensor_noise(picture: Field, *, rng: np.random.Generator) -> Field:
    """Grain: independent of the light and growing with it; coarser where the camera has interpolated or scaled."""
    if rng.random() < 0.2:
        return picture
    grey = bool(np.array_equal(picture[..., 0], picture[..., 1]))
    grain = rng.standard_normal((*picture.shape[:2], 1 if grey or rng.random() < 0.5 else 3), dtype=np.float32)
    if rng.random() < 0.4:
        sigma = rng.uniform(0.4, 0.9)
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), sigma), dtype=np.float32).reshape(grain.shape)
        grain /= max(float(grain.std()), 1e-6)
    fixed, growing = abs(rng.normal(0, 0.012)), abs(rng.normal(0, 0.025))
    return np.asarray(picture + grain * (fixed + growing * np.sqrt(np.clip(picture, 0, 1))), dtype=np.float32)


def _compress(picture: Field, *, rng: np.random.Generator) -> Field:
    pixels = (picture * 255.0 + 0.5).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(60, 98))
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return pixels.astype(np.float32) / 255.0
