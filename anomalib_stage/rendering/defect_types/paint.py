# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Painted cut-outs, and ways to change a surface that several defects share.

Brightness changes are in the image's units, [0, 1]; lengths are in pixels. What is painted outside the mask or above 1
is cut off by :mod:`anomalib_stage.rendering.defects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["Paint", "add_light", "draw_course", "lay_material", "swap_level"]


class Paint(NamedTuple):
    """A painted cut-out.

    Attributes:
        image (np.ndarray): ``(h, w, 3)``, float32.
        cover (np.ndarray | float): Share of the surface that is hidden, [0, 1], ``(h, w)``: it needs new grain.
        edge (float): Width in pixels over which the defect fades in from the mask's edge; 1 is a hard edge.
    """

    image: np.ndarray
    cover: np.ndarray | float
    edge: float


def lay_material(site: Site, material: np.ndarray, *, edge: float, opacity: float = 1.0) -> Paint:
    """Lay an opaque material ``(h, w, 3)`` over the surface; now and then the surface shines through in places."""
    rng = site.rng
    sigma = site.softness * rng.uniform(0.5, 1.2)
    if sigma > 0.3:
        material = cv2.GaussianBlur(material.astype(np.float32), (0, 0), sigma)
    cover = np.full(site.mask.shape, opacity, np.float32)
    if site.happens(0.2):
        gaps = np.clip(0.75 + 0.4 * site.draw_field(max(site.thickness, 4.0)), 0.3, 1)
        cover *= gaps
    return Paint(site.patch + cover[..., None] * (material - site.patch), cover, edge)


def add_light(site: Site, change: np.ndarray, *, edge: float) -> Paint:
    """Add a brightness change ``(h, w)``; bright pixels take it as light, so that hue and texture stay."""
    light = np.clip(site.colour / max(site.level, 0.05), 0.3, 2.0) if site.happens(0.6) else np.ones(3)
    return Paint(site.patch + change[..., None] * light.astype(np.float32), 0.0, edge)


def swap_level(site: Site) -> Paint | None:
    """On a surface of two levels a defect usually shows the other one: missing or excess material."""
    if site.levels is None or not site.happens(0.8):
        return None
    dark, bright = site.levels
    above = site.smooth[site.mask].mean() > (dark + bright) / 2
    level = dark if above else bright
    material = level + 0.05 * (bright - dark) * site.draw_rough_field(6.0)[..., None]
    if site.happens(0.5):  # the defect crosses both levels: turn each into the other
        material = dark + bright - site.patch
    return lay_material(site, np.broadcast_to(material, site.patch.shape), edge=site.rng.uniform(1, 1.5))


def draw_course(site: Site) -> np.ndarray:
    """Strength of a line defect along its course, ``(h, w)``, about 0.4 to 1.4."""
    return np.clip(1 + 0.35 * site.draw_field(max(site.extent * site.rng.uniform(0.1, 0.4), 2.0)), 0.4, 1.4)
