# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Foreign matter on the surface: particles, smears and residues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.rendering.defect_types.paint import Paint, lay_material, swap_level

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["paint_contamination", "paint_particle", "paint_residue", "paint_smear"]


def paint_contamination(site: Site) -> Paint:
    """Foreign matter: a fibre on thin masks; a particle, crumbs, a smear or a residue on others."""
    swapped = swap_level(site) if site.happens(0.6) else None
    if swapped:
        return swapped
    if site.thickness < 0.08 * site.extent and site.extent > 12:
        return paint_particle(site, roughness=0.1)
    variants: tuple[Callable[[Site], Paint], ...] = (paint_particle, paint_smear, paint_residue)
    return variants[int(site.rng.choice(3, p=[0.5, 0.2, 0.3]))](site)


def _draw_foreign_colour(site: Site) -> np.ndarray:
    """Draw the colour ``(3,)`` of foreign matter, clearly lighter or darker than the surface."""
    rng = site.rng
    brightness = float(np.clip(site.level + site.draw_sign() * max(site.draw_strength(strongest=0.7), 0.1), 0.02, 0.98))
    colour = site.draw_colour(brightness)
    if site.chroma > 0 and site.happens(0.35):  # plastic, thread, paint: a colour of its own
        colour = np.clip(brightness * (1 + rng.uniform(-0.8, 0.8, 3)), 0, 1).astype(np.float32)
    return colour


def paint_particle(site: Site, *, roughness: float | None = None) -> Paint:
    """A solid body: domed, lit from one side, sometimes glossy, in its own shade at the far edge."""
    rng = site.rng
    light = site.draw_light()
    dome = np.sqrt(np.clip(1 - (1 - np.minimum(site.inner, 1)) ** 2, 0, 1))
    rough = rng.uniform(0.0, 0.35) if roughness is None else roughness
    body = dome + rough * site.draw_field(rng.uniform(2, 6)) * 0.3
    shade = 1 + rng.uniform(0.1, 0.6) * site.compute_relief(body, light) + rough * site.draw_rough_field(4.0) * 0.5
    shade -= rng.uniform(0, 0.5) * site.compute_shadow(
        (-light[0], -light[1]), reach=0.5 + 0.25 * min(site.thickness, 8)
    )
    image = np.clip(shade, 0.1, 1.8)[..., None] * _draw_foreign_colour(site)
    if site.happens(0.3):  # gloss
        spot = np.clip(site.compute_relief(dome, light) * site.inner * 2 - 0.6, 0, 1)
        image = image + (rng.uniform(0.2, 0.8) * spot)[..., None]
    return lay_material(site, image.astype(np.float32), edge=rng.uniform(1, 1.6), opacity=rng.uniform(0.85, 1))


def paint_smear(site: Site) -> Paint:
    """A thin wiped film with streaks; the surface stays visible below."""
    rng = site.rng
    cover = np.clip(rng.uniform(0.35, 0.8) * (1 + 0.45 * site.draw_streaks() + 0.2 * site.draw_field(8.0)), 0.12, 0.95)
    image = site.patch + cover[..., None] * (_draw_foreign_colour(site) - site.patch)
    return Paint(image, 0.8 * cover, 1 + rng.uniform(0, 0.3) * min(site.thickness, 10))


def paint_residue(site: Site) -> Paint:
    """A blotchy, crusty deposit of uneven thickness."""
    rng = site.rng
    lumps = site.draw_rough_field(rng.uniform(3, 12))
    cover = np.clip(0.75 + 0.4 * lumps, 0.2, 1)
    shade = 1 + rng.uniform(0.05, 0.35) * site.compute_relief(lumps, site.draw_light()) + 0.1 * lumps
    material = np.clip(shade, 0.2, 1.8)[..., None] * _draw_foreign_colour(site)
    return Paint(site.patch + cover[..., None] * (material - site.patch), cover, rng.uniform(1, 2))
