# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured on a surface: brightness, grain, sharpness, and whether it has two levels only."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["LUMA", "compute_luma", "estimate_grain", "estimate_softness", "find_levels"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in the brightness."""

_LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # J. Immerkaer, CVIU 64(2), 1996: norm 6
_QUARTILE = 0.3186  # 25th percentile of |N(0, 1)|: the grain of the quietest parts, not the texture of the others


def compute_luma(image: np.ndarray) -> np.ndarray:
    """Brightness ``(..., H, W)`` of an RGB image ``(..., H, W, 3)``, in the image's units."""
    brightness: np.ndarray = image @ LUMA
    return brightness


def estimate_grain(grey: np.ndarray) -> float:
    """Standard deviation of the noise in the quiet parts of a picture ``(h, w)``."""
    if min(grey.shape) < 5:
        return 0.0
    residual = np.abs(cv2.filter2D(grey, -1, _LAPLACE)[1:-1, 1:-1]).ravel()
    residual = residual[:: max(1, len(residual) // 4096)]
    return float(min(np.partition(residual, len(residual) // 4)[len(residual) // 4] / (6 * _QUARTILE), 0.08))


def estimate_softness(grey: np.ndarray) -> float:
    """Sigma of the blur in pixels, from how alike neighbours are: 0 for white noise, about 1 for a soft picture."""
    if min(grey.shape) < 5:
        return 0.5
    near, far = grey[:, 1:] - grey[:, :-1], grey[:, 2:] - grey[:, :-2]
    ratio = float((near**2).mean() / max((far**2).mean(), 1e-9))  # 1 for white noise, 1/4 for straight slopes
    return float(np.clip(1.3 * (0.95 - ratio), 0.0, 1.0))


def find_levels(surface: np.ndarray) -> tuple[float, float] | None:
    """Dark and bright level of a black-and-white surface, None for any other (Otsu's criterion on a subsample)."""
    step = max(1, min(surface.shape[:2]) // 48)
    sample = np.clip(compute_luma(surface[::step, ::step]) * 255, 0, 255).astype(np.uint8)
    _, split = cv2.threshold(sample, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    share = float(split.mean())
    if not 0.03 < share < 0.97:
        return None
    dark, bright = float(sample[split == 0].mean()), float(sample[split == 1].mean())
    between = share * (1 - share) * (bright - dark) ** 2 / max(float(sample.var()), 1e-6)
    return (dark / 255, bright / 255) if between > 0.9 and bright - dark > 80 else None
