# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Damage to the surface: scratches, cracks, holes, chips and dents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.rendering.defect_types.paint import Paint, add_light, draw_course, lay_material, swap_level

if TYPE_CHECKING:
    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["paint_chip", "paint_crack", "paint_dent", "paint_hole", "paint_scratch"]


def paint_scratch(site: Site) -> Paint:
    """A groove: brighter (bared, glossy) or darker, with a lit and a shaded flank, deeper here and shallower there."""
    rng = site.rng
    amplitude = 1.4 * site.draw_strength(strongest=0.4)
    core = site.draw_sign(bright=0.65) * rng.uniform(0.5, 1.0) * site.inner ** rng.uniform(0.1, 0.8)
    flanks = rng.uniform(0.0, 0.8) * site.compute_relief(-site.depth, site.draw_light())
    change = amplitude * (core + flanks) * draw_course(site)
    if site.thickness > 2 and site.happens(0.4):  # drag marks inside a wide scratch
        change *= 1 + 0.5 * site.draw_streaks()
    if amplitude > 0.2 and site.happens(0.4):
        image = site.smooth + change[..., None] * site.draw_tint(spread=0.25)
        return lay_material(site, image, edge=rng.uniform(1, 1.4), opacity=rng.uniform(0.5, 1))
    return add_light(site, change, edge=rng.uniform(1, 1.4))


def paint_crack(site: Site) -> Paint:
    """A gap: dark in the middle, softer or ragged at the rim, sometimes with one lit edge; rarely filled and bright."""
    rng = site.rng
    swapped = swap_level(site)
    if swapped:
        return swapped
    gap = np.clip(site.inner ** rng.uniform(0.1, 0.6) * (1 + 0.25 * site.draw_rough_field(3.0)), 0.25, 1) * draw_course(
        site
    )
    lit = rng.uniform(0, 0.4) * np.maximum(site.compute_relief(-site.depth, site.draw_light()), 0)
    if site.level < 0.12 or site.happens(0.12):
        return add_light(site, site.draw_strength() * (gap + lit), edge=rng.uniform(1, 1.5))
    amount = min(site.draw_strength(strongest=0.6) / max(site.level, 0.1), 0.97)
    image = site.patch * (1 - np.minimum(amount * gap, 0.97))[..., None] * site.draw_tint(spread=0.15)
    return Paint(image + (0.3 * amount * lit)[..., None], np.minimum(amount * gap, 1.0), rng.uniform(1, 1.5))


def paint_hole(site: Site) -> Paint:
    """A cavity: its edge shades one side and catches light on the other; or a view through to what lies behind."""
    rng = site.rng
    swapped = swap_level(site)
    if swapped:
        return swapped
    light = site.draw_light()
    if site.happens(0.2):
        behind = 1.0 if site.level < 0.7 and site.happens(0.6) else 0.0
        bottom = abs(behind - rng.uniform(0.0, 0.25))
    elif site.level < 0.12:
        bottom = site.level + site.draw_strength()
    else:
        bottom = site.level * rng.uniform(0.03, 0.55)
    shadow = site.compute_shadow(light, reach=rng.uniform(0.3, 1.2) * min(site.thickness, 12) + 0.5)
    floor = bottom * (1 - rng.uniform(0.3, 0.9) * shadow) * (1 + rng.uniform(0, 0.18) * site.draw_rough_field(8.0))
    if site.happens(0.35) and site.thickness > 2:  # a bottom that rises towards the middle, or a funnel
        floor *= 1 + rng.uniform(-0.6, 0.8) * (site.inner - 0.5)
    lit = np.maximum(site.compute_relief(-site.depth, light), 0) * site.compute_rim(rng.uniform(0.5, 1.5))
    material = floor[..., None] * site.draw_colour(1.0) + (rng.uniform(0, 0.6) * site.level * lit)[..., None]
    return lay_material(site, material, edge=rng.uniform(1, 1 + 0.4 * min(site.thickness, 5)))


def paint_chip(site: Site) -> Paint:
    """Material broken off: the body below is bare, rougher, lighter or darker, with faceted, shaded flanks."""
    rng = site.rng
    swapped = swap_level(site)
    if swapped:
        return swapped
    light = site.draw_light()
    bare = float(np.clip(site.level + site.draw_sign(bright=0.6) * site.draw_strength(), 0.02, 0.98))
    rough = site.draw_rough_field(rng.uniform(3, 10))
    wall = min(rng.uniform(0.15, 1.0) * site.thickness, 10.0) + 0.5
    facets = np.minimum(site.depth, wall) + rng.uniform(0.05, 0.4) * site.draw_field(rng.uniform(3, 9))
    shade = rng.uniform(0.1, 0.7) * site.compute_relief(-facets, light) + rng.uniform(0.02, 0.2) * rough
    rim = rng.uniform(-0.5, 0.5) * site.compute_rim(rng.uniform(0.4, 1.2))
    material = np.clip(bare * (1 + 0.6 * shade + rim), 0, 1.2)[..., None] * site.draw_colour(1.0, spread=0.3)
    return lay_material(site, material, edge=rng.uniform(1, 1.5))


def paint_dent(site: Site) -> Paint:
    """A hollow or bump: light slides from one flank to the other and the texture is bent; nothing is missing."""
    rng = site.rng
    light = site.draw_light()
    profile = np.sin(0.5 * np.pi * np.minimum(site.inner, 1)) ** rng.uniform(0.7, 1.6)
    height = cv2.GaussianBlur(profile.astype(np.float32), (0, 0), 0.3 + 0.12 * site.thickness)
    depth = rng.uniform(0.1, 0.5) * min(site.thickness, 14) * rng.choice([-1, 1])
    # Texture bent: each pixel looks along the slope of the height field.
    rows, columns = np.indices(site.mask.shape, dtype=np.float32)
    slope_x, slope_y = cv2.Sobel(height, -1, 1, 0, scale=0.125), cv2.Sobel(height, -1, 0, 1, scale=0.125)
    bend = float(depth * site.thickness * 0.5)
    bent = cv2.remap(
        site.patch, columns + bend * slope_x, rows + bend * slope_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    shade = np.sign(depth) * site.compute_relief(height, light) + rng.uniform(-0.45, 0.25) * site.inner
    change = site.draw_strength(strongest=0.32) * shade
    if site.happens(0.4):  # a glossy flank
        change += rng.uniform(0.1, 0.4) * np.clip(2 * shade - 1.1, 0, 1)
    gain = np.clip(0.6 * change / max(site.level, 0.25), -0.7, 0.8)
    image = bent * (1 + gain)[..., None] + 0.5 * change[..., None]
    return Paint(image.astype(np.float32), 0.25, 1 + rng.uniform(0.1, 0.4) * min(site.thickness, 12))
