# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a defect is painted: what is measured once on the surface around it and on its mask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from anomalib_stage.rendering.defect_types.surface_statistics import compute_luma

__all__ = ["MeasuredSite"]


@dataclass(frozen=True)
class MeasuredSite:
    """A cut-out of the surface and its defect mask, with what is measured on them.

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

    @cached_property
    def grey(self) -> np.ndarray:
        """Brightness of the clean surface, ``(h, w)``."""
        return compute_luma(self.patch)

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
        return float(compute_luma(self.colour))

    @cached_property
    def roughness(self) -> float:
        """Brightness variation that a defect competes with: grain and a part of the texture's contrast."""
        return math.hypot(self.grain, 0.45 * float(compute_luma(self.around).std()))

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
