# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of colour: stains and discoloration; the texture below stays visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.rendering.defect_types.paint import Paint

if TYPE_CHECKING:
    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["paint_discoloration", "paint_stain"]


def paint_stain(site: Site) -> Paint:
    """A translucent deposit: it tints what lies below and is often denser along its rim, like dried coffee."""
    rng = site.rng
    density = np.clip(
        1 + rng.uniform(0, 0.4) * site.draw_rough_field(max(site.extent / rng.uniform(2, 6), 2.0)), 0.35, 1.6
    )
    if site.happens(0.5):
        density += rng.uniform(0.3, 1.5) * site.compute_rim(rng.uniform(0.06, 0.25) * site.thickness + 0.4)
    if site.happens(0.25):
        density *= 0.5 + site.inner
    amount = np.clip(site.draw_strength(strongest=0.45) * density / 1.4, 0, 0.9)[..., None]
    edge = 1 + rng.uniform(0, 0.35) * min(site.thickness, 12)
    if site.level < 0.15 or site.levels or (site.level < 0.6 and site.happens(0.3)):  # chalk, salt, fingerprints
        white = rng.uniform(0.3, 0.7) if site.levels else rng.uniform(max(0.7, site.level + 0.25), 1.0)
        veil = np.clip(white * site.draw_tint(spread=0.3), 0, 1)
        return Paint(site.patch + amount * (veil - site.patch), amount[..., 0], edge)
    absorbed = amount / max(site.level, 0.2) * np.clip(2 - site.draw_tint(spread=0.7), 0, 2.5)
    return Paint(site.patch * np.exp(-1.2 * absorbed).astype(np.float32), 0.0, edge)


def paint_discoloration(site: Site) -> Paint:
    """Brightness, saturation or hue shifted, or a burn; the texture stays."""
    rng = site.rng
    uneven = np.clip(1 + rng.uniform(0, 0.45) * site.draw_field(max(site.extent / rng.uniform(1.5, 5), 3.0)), 0.3, 1.6)
    if site.happens(0.4):
        uneven = uneven * (0.35 + 0.9 * site.inner)
    edge = 1 + rng.uniform(0.1, 0.6) * min(site.thickness, 16)
    change = uneven * site.draw_strength(strongest=0.35)
    if site.levels and site.happens(0.7):  # both levels lose contrast
        faded = site.patch + np.clip(1.5 * change, 0, 0.8)[..., None] * (rng.uniform(0.3, 0.7) - site.patch)
        return Paint(faded.astype(np.float32), 0.0, edge)
    if site.happens(0.25) and site.level > 0.2:  # burn: dark, warm where the camera sees colour
        warm = np.array([0.75, 1.05, 1.35]) if site.chroma > 0 else np.ones(3)
        amount = (change / max(site.level, 0.2))[..., None] * warm
        return Paint((site.patch * np.exp(-1.5 * amount)).astype(np.float32), 0.0, edge)
    if site.chroma > 0.05 and site.happens(0.5):  # washed out, or turned to another hue
        drift = site.patch.mean(axis=-1, keepdims=True) + (rng.uniform(-0.15, 0.15, 3) if site.happens(0.5) else 0)
        image = site.patch + np.clip(2.5 * change, 0, 1)[..., None] * (drift - site.patch)
        return Paint(image.astype(np.float32), 0.0, edge)
    tinted = site.draw_sign() * change[..., None] * site.draw_tint(spread=0.8)
    if site.happens(0.5):
        return Paint(site.patch * (1 + tinted / max(site.level, 0.2)), 0.0, edge)
    return Paint(site.patch + tinted, 0.0, edge)
