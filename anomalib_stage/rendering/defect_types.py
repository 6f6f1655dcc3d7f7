# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How each defects looks: one painter a defect, from a site to a painted cut-out.

Brightness changes are in the image's units, [0, 1]; lengths are in pixels. A painter may paint outside the mask and
above 1: :mod:`anomalib_stage.rendering.defects` keeps only what lies inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.site import Site

__all__ = ["PAINTERS", "Paint"]


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


# ---------------------------------------------------------------------------------------------------------------------
# Ways to change a surface
# ---------------------------------------------------------------------------------------------------------------------


def _laid(site: Site, material: np.ndarray, *, edge: float, opacity: float = 1.0) -> Paint:
    """Lay an opaque material ``(h, w, 3)`` over the surface; now and then the surface shines through in places."""
    rng = site.rng
    sigma = site.softness * rng.uniform(0.5, 1.2)
    if sigma > 0.3:
        material = cv2.GaussianBlur(material.astype(np.float32), (0, 0), sigma)
    cover = np.full(site.mask.shape, opacity, np.float32)
    if site.chance(0.2):
        gaps = np.clip(0.75 + 0.4 * site.field(max(site.thickness, 4.0)), 0.3, 1)
        cover *= gaps
    return Paint(site.patch + cover[..., None] * (material - site.patch), cover, edge)


def _shaded(site: Site, change: np.ndarray, *, edge: float) -> Paint:
    """Add a brightness change ``(h, w)``; bright pixels take it as light, so that hue and texture stay."""
    light = np.clip(site.colour / max(site.level, 0.05), 0.3, 2.0) if site.chance(0.6) else np.ones(3)
    return Paint(site.patch + change[..., None] * light.astype(np.float32), 0.0, edge)


def _flipped(site: Site) -> Paint | None:
    """On a surface of two levels a defect usually shows the other one: missing or excess material."""
    if site.levels is None or not site.chance(0.8):
        return None
    dark, bright = site.levels
    above = site.smooth[site.mask].mean() > (dark + bright) / 2
    level = dark if above else bright
    material = level + 0.05 * (bright - dark) * site.rough(6.0)[..., None]
    if site.chance(0.5):  # the defect crosses both levels: turn each into the other
        material = dark + bright - site.patch
    return _laid(site, np.broadcast_to(material, site.patch.shape), edge=site.rng.uniform(1, 1.5))


def _along(site: Site) -> np.ndarray:
    """Strength of a line defect along its course, ``(h, w)``, about 0.4 to 1.4."""
    return np.clip(1 + 0.35 * site.field(max(site.extent * site.rng.uniform(0.1, 0.4), 2.0)), 0.4, 1.4)


# ---------------------------------------------------------------------------------------------------------------------
# The defects
# ---------------------------------------------------------------------------------------------------------------------


def _scratch(site: Site) -> Paint:
    """A groove: brighter (bared, glossy) or darker, with a lit and a shaded flank, deeper here and shallower there."""
    rng = site.rng
    amplitude = 1.4 * site.strength(strongest=0.4)
    core = site.sign(bright=0.65) * rng.uniform(0.5, 1.0) * site.inner ** rng.uniform(0.1, 0.8)
    flanks = rng.uniform(0.0, 0.8) * site.relief(-site.depth, site.light())
    change = amplitude * (core + flanks) * _along(site)
    if site.thickness > 2 and site.chance(0.4):  # drag marks inside a wide scratch
        change *= 1 + 0.5 * site.streaks()
    if amplitude > 0.2 and site.chance(0.4):
        image = site.smooth + change[..., None] * site.tint(spread=0.25)
        return _laid(site, image, edge=rng.uniform(1, 1.4), opacity=rng.uniform(0.5, 1))
    return _shaded(site, change, edge=rng.uniform(1, 1.4))


def _crack(site: Site) -> Paint:
    """A gap: dark in the middle, softer or ragged at the rim, sometimes with one lit edge; rarely filled and bright."""
    rng = site.rng
    flipped = _flipped(site)
    if flipped:
        return flipped
    gap = np.clip(site.inner ** rng.uniform(0.1, 0.6) * (1 + 0.25 * site.rough(3.0)), 0.25, 1) * _along(site)
    lit = rng.uniform(0, 0.4) * np.maximum(site.relief(-site.depth, site.light()), 0)
    if site.level < 0.12 or site.chance(0.12):
        return _shaded(site, site.strength() * (gap + lit), edge=rng.uniform(1, 1.5))
    amount = min(site.strength(strongest=0.6) / max(site.level, 0.1), 0.97)
    image = site.patch * (1 - np.minimum(amount * gap, 0.97))[..., None] * site.tint(spread=0.15)
    return Paint(image + (0.3 * amount * lit)[..., None], np.minimum(amount * gap, 1.0), rng.uniform(1, 1.5))


def _hole(site: Site) -> Paint:
    """A cavity: its edge shades one side and catches light on the other; or a view through to what lies behind."""
    rng = site.rng
    flipped = _flipped(site)
    if flipped:
        return flipped
    light = site.light()
    if site.chance(0.2):
        behind = 1.0 if site.level < 0.7 and site.chance(0.6) else 0.0
        bottom = abs(behind - rng.uniform(0.0, 0.25))
    elif site.level < 0.12:
        bottom = site.level + site.strength()
    else:
        bottom = site.level * rng.uniform(0.03, 0.55)
    shadow = site.shadow(light, reach=rng.uniform(0.3, 1.2) * min(site.thickness, 12) + 0.5)
    floor = bottom * (1 - rng.uniform(0.3, 0.9) * shadow) * (1 + rng.uniform(0, 0.18) * site.rough(8.0))
    if site.chance(0.35) and site.thickness > 2:  # a bottom that rises towards the middle, or a funnel
        floor *= 1 + rng.uniform(-0.6, 0.8) * (site.inner - 0.5)
    lit = np.maximum(site.relief(-site.depth, light), 0) * site.rim(rng.uniform(0.5, 1.5))
    material = floor[..., None] * site.material(1.0) + (rng.uniform(0, 0.6) * site.level * lit)[..., None]
    return _laid(site, material, edge=rng.uniform(1, 1 + 0.4 * min(site.thickness, 5)))


def _stain(site: Site) -> Paint:
    """A translucent deposit: it tints what lies below and is often denser along its rim, like dried coffee."""
    rng = site.rng
    density = np.clip(1 + rng.uniform(0, 0.4) * site.rough(max(site.extent / rng.uniform(2, 6), 2.0)), 0.35, 1.6)
    if site.chance(0.5):
        density += rng.uniform(0.3, 1.5) * site.rim(rng.uniform(0.06, 0.25) * site.thickness + 0.4)
    if site.chance(0.25):
        density *= 0.5 + site.inner
    amount = np.clip(site.strength(strongest=0.45) * density / 1.4, 0, 0.9)[..., None]
    edge = 1 + rng.uniform(0, 0.35) * min(site.thickness, 12)
    if site.level < 0.15 or site.levels or (site.level < 0.6 and site.chance(0.3)):  # chalk, salt, fingerprints
        white = rng.uniform(0.3, 0.7) if site.levels else rng.uniform(max(0.7, site.level + 0.25), 1.0)
        veil = np.clip(white * site.tint(spread=0.3), 0, 1)
        return Paint(site.patch + amount * (veil - site.patch), amount[..., 0], edge)
    absorbed = amount / max(site.level, 0.2) * np.clip(2 - site.tint(spread=0.7), 0, 2.5)
    return Paint(site.patch * np.exp(-1.2 * absorbed).astype(np.float32), 0.0, edge)


def _chip(site: Site) -> Paint:
    """Material broken off: the body below is bare, rougher, lighter or darker, with faceted, shaded flanks."""
    rng = site.rng
    flipped = _flipped(site)
    if flipped:
        return flipped
    light = site.light()
    bare = float(np.clip(site.level + site.sign(bright=0.6) * site.strength(), 0.02, 0.98))
    rough = site.rough(rng.uniform(3, 10))
    wall = min(rng.uniform(0.15, 1.0) * site.thickness, 10.0) + 0.5
    facets = np.minimum(site.depth, wall) + rng.uniform(0.05, 0.4) * site.field(rng.uniform(3, 9))
    shade = rng.uniform(0.1, 0.7) * site.relief(-facets, light) + rng.uniform(0.02, 0.2) * rough
    rim = rng.uniform(-0.5, 0.5) * site.rim(rng.uniform(0.4, 1.2))
    material = np.clip(bare * (1 + 0.6 * shade + rim), 0, 1.2)[..., None] * site.material(1.0, spread=0.3)
    return _laid(site, material, edge=rng.uniform(1, 1.5))


def _contamination(site: Site) -> Paint:
    """Foreign matter: a fibre on thin masks; a particle, crumbs, a smear or a residue on others."""
    flipped = _flipped(site) if site.chance(0.6) else None
    if flipped:
        return flipped
    if site.thickness < 0.08 * site.extent and site.extent > 12:
        return _particle(site, roughness=0.1)
    variants: tuple[Callable[[Site], Paint], ...] = (_particle, _smear, _residue)
    return variants[int(site.rng.choice(3, p=[0.5, 0.2, 0.3]))](site)


def _foreign(site: Site) -> np.ndarray:
    """Draw the colour ``(3,)`` of foreign matter, clearly lighter or darker than the surface."""
    rng = site.rng
    brightness = float(np.clip(site.level + site.sign() * max(site.strength(strongest=0.7), 0.1), 0.02, 0.98))
    colour = site.material(brightness)
    if site.chroma > 0 and site.chance(0.35):  # plastic, thread, paint: a colour of its own
        colour = np.clip(brightness * (1 + rng.uniform(-0.8, 0.8, 3)), 0, 1).astype(np.float32)
    return colour


def _particle(site: Site, *, roughness: float | None = None) -> Paint:
    """A solid body: domed, lit from one side, sometimes glossy, in its own shade at the far edge."""
    rng = site.rng
    light = site.light()
    dome = np.sqrt(np.clip(1 - (1 - np.minimum(site.inner, 1)) ** 2, 0, 1))
    rough = rng.uniform(0.0, 0.35) if roughness is None else roughness
    body = dome + rough * site.field(rng.uniform(2, 6)) * 0.3
    shade = 1 + rng.uniform(0.1, 0.6) * site.relief(body, light) + rough * site.rough(4.0) * 0.5
    shade -= rng.uniform(0, 0.5) * site.shadow((-light[0], -light[1]), reach=0.5 + 0.25 * min(site.thickness, 8))
    image = np.clip(shade, 0.1, 1.8)[..., None] * _foreign(site)
    if site.chance(0.3):  # gloss
        spot = np.clip(site.relief(dome, light) * site.inner * 2 - 0.6, 0, 1)
        image = image + (rng.uniform(0.2, 0.8) * spot)[..., None]
    return _laid(site, image.astype(np.float32), edge=rng.uniform(1, 1.6), opacity=rng.uniform(0.85, 1))


def _smear(site: Site) -> Paint:
    """A thin wiped film with streaks; the surface stays visible below."""
    rng = site.rng
    cover = np.clip(rng.uniform(0.35, 0.8) * (1 + 0.45 * site.streaks() + 0.2 * site.field(8.0)), 0.12, 0.95)
    image = site.patch + cover[..., None] * (_foreign(site) - site.patch)
    return Paint(image, 0.8 * cover, 1 + rng.uniform(0, 0.3) * min(site.thickness, 10))


def _residue(site: Site) -> Paint:
    """A blotchy, crusty deposit of uneven thickness."""
    rng = site.rng
    lumps = site.rough(rng.uniform(3, 12))
    cover = np.clip(0.75 + 0.4 * lumps, 0.2, 1)
    shade = 1 + rng.uniform(0.05, 0.35) * site.relief(lumps, site.light()) + 0.1 * lumps
    material = np.clip(shade, 0.2, 1.8)[..., None] * _foreign(site)
    return Paint(site.patch + cover[..., None] * (material - site.patch), cover, rng.uniform(1, 2))


def _dent(site: Site) -> Paint:
    """A hollow or bump: light slides from one flank to the other and the texture is bent; nothing is missing."""
    rng = site.rng
    light = site.light()
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
    shade = np.sign(depth) * site.relief(height, light) + rng.uniform(-0.45, 0.25) * site.inner
    change = site.strength(strongest=0.32) * shade
    if site.chance(0.4):  # a glossy flank
        change += rng.uniform(0.1, 0.4) * np.clip(2 * shade - 1.1, 0, 1)
    gain = np.clip(0.6 * change / max(site.level, 0.25), -0.7, 0.8)
    image = bent * (1 + gain)[..., None] + 0.5 * change[..., None]
    return Paint(image.astype(np.float32), 0.25, 1 + rng.uniform(0.1, 0.4) * min(site.thickness, 12))


def _discoloration(site: Site) -> Paint:
    """Brightness, saturation or hue shifted, or a burn; the texture stays."""
    rng = site.rng
    uneven = np.clip(1 + rng.uniform(0, 0.45) * site.field(max(site.extent / rng.uniform(1.5, 5), 3.0)), 0.3, 1.6)
    if site.chance(0.4):
        uneven = uneven * (0.35 + 0.9 * site.inner)
    edge = 1 + rng.uniform(0.1, 0.6) * min(site.thickness, 16)
    change = uneven * site.strength(strongest=0.35)
    if site.levels and site.chance(0.7):  # both levels lose contrast
        faded = site.patch + np.clip(1.5 * change, 0, 0.8)[..., None] * (rng.uniform(0.3, 0.7) - site.patch)
        return Paint(faded.astype(np.float32), 0.0, edge)
    if site.chance(0.25) and site.level > 0.2:  # burn: dark, warm where the camera sees colour
        warm = np.array([0.75, 1.05, 1.35]) if site.chroma > 0 else np.ones(3)
        amount = (change / max(site.level, 0.2))[..., None] * warm
        return Paint((site.patch * np.exp(-1.5 * amount)).astype(np.float32), 0.0, edge)
    if site.chroma > 0.05 and site.chance(0.5):  # washed out, or turned to another hue
        drift = site.patch.mean(axis=-1, keepdims=True) + (rng.uniform(-0.15, 0.15, 3) if site.chance(0.5) else 0)
        image = site.patch + np.clip(2.5 * change, 0, 1)[..., None] * (drift - site.patch)
        return Paint(image.astype(np.float32), 0.0, edge)
    tinted = site.sign() * change[..., None] * site.tint(spread=0.8)
    if site.chance(0.5):
        return Paint(site.patch * (1 + tinted / max(site.level, 0.2)), 0.0, edge)
    return Paint(site.patch + tinted, 0.0, edge)


PAINTERS: dict[str, Callable[[Site], Paint]] = {
    "scratch": _scratch,
    "crack": _crack,
    "hole": _hole,
    "stain": _stain,
    "chip": _chip,
    "contamination": _contamination,
    "dent": _dent,
    "discoloration": _discoloration,
}
