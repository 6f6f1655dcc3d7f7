# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural defects: pictures with exact masks to train the default bundle on.

A defect is painted relative to the surface (its colour, contrast, grain and sharpness) and to the mask's geometry, so
that the denoiser learns how defects relate to what is around them, and not one look. What is promised:

* outside the mask the picture is the surface, to the bit;
* inside, nearly every pixel changes visibly, so that the mask is no false label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.defect_types import PAINTERS, Paint
from anomalib_stage.rendering.site import find_site, luma

if TYPE_CHECKING:
    from anomalib_stage.rendering.site import Site

__all__ = ["DEFECT_NAMES", "DEFECT_SHAPES", "paint_defect"]

DEFECT_SHAPES: dict[str, tuple[str, ...]] = {
    "scratch": ("scratch",),
    "crack": ("crack",),
    "hole": ("blob", "spots"),
    "stain": ("perlin", "blob"),
    "chip": ("edge_chip", "blob"),
    "contamination": ("blob", "spots", "scratch"),
    "dent": ("blob", "scratch"),
    "discoloration": ("perlin", "blob"),
    "good": ("scratch", "crack", "blob", "spots", "perlin", "edge_chip"),
}
"""Shapes of :data:`anomalib_stage.synthesis.masks.draw.SHAPES` that each defect occurs in."""

DEFECT_NAMES: tuple[str, ...] = tuple(DEFECT_SHAPES)
"""Defects; ``good`` is the surface itself."""

_STEP = 4 / 255  # smallest change given to a pixel that showed none
_LARGEST_STEP = 0.06
_LARGEST_SCALE = 1.8
_SEEN = 3.01 / 255  # changes below this do not count as visible: rounding to 8 bits could leave 2/255 of them
_THIN = 2.5  # masks of at most this depth in pixels keep a hard edge: they have no inside to fade in
_CLEAR = 7 / 255  # smallest mean change of a mask
_OVER_NOISE = 2.0  # smallest mean change, as a multiple of the surface's own unrest
_OVER_NOISE_THIN = 3.0  # the same for thin masks, which the eye loses sooner
_SOFT_EDGE = 0.15  # share of pixels, all next to the mask's edge, that may stay faint: defects fade out


def paint_defect(surface: np.ndarray, mask: np.ndarray, *, defect: str, rng: np.random.Generator) -> np.ndarray:
    """Paint a defect into a surface.

    Args:
        surface (np.ndarray): ``(H, W, 3)``, float32 in [0, 1], RGB. Three equal channels stay equal.
        mask (np.ndarray): ``(H, W)``, bool, with at least one pixel set.
        defect (str): One of :data:`DEFECT_NAMES`. ``good`` paints nothing.
        rng (np.random.Generator): Stream that every draw comes from.

    Returns:
        np.ndarray: ``(H, W, 3)``, float32 in [0, 1], a new array: equal to ``surface`` outside the mask; inside, at
        least 80 % of the pixels differ by more than 2/255 in some channel.

    Raises:
        InputError: If the defect is unknown, or surface and mask are not as described.
    """
    _check(surface, mask, defect=defect)
    picture = surface.copy()
    if defect == "good":
        return picture
    site, box = find_site(surface, mask, rng=rng)
    with np.errstate(over="ignore"):
        painted = _visible(site, _finished(site, PAINTERS[defect](site)))
    picture[box][site.mask] = painted[site.mask]
    return picture


def _check(surface: np.ndarray, mask: np.ndarray, *, defect: str) -> None:
    """Refuse arguments that :func:`paint_defect` cannot work with."""
    if defect not in DEFECT_NAMES:
        msg = f"Unknown defects {defect!r}. Known defects: {', '.join(DEFECT_NAMES)}. Use one of them."
        raise InputError(msg)
    if surface.ndim != 3 or surface.shape[2] != 3 or surface.dtype != np.float32:
        msg = (
            f"The surface is {surface.dtype} of shape {surface.shape}; it must be float32 of shape (H, W, 3) in [0, 1]."
        )
        raise InputError(msg)
    if mask.shape != surface.shape[:2] or mask.dtype != bool:
        msg = f"The mask is {mask.dtype} of shape {mask.shape}; it must be bool of shape {surface.shape[:2]}."
        raise InputError(msg)
    if not mask.any():
        msg = "The mask has no pixel, so there is nothing to paint. Draw a mask with at least one pixel."
        raise InputError(msg)


def _finished(site: Site, paint: Paint) -> np.ndarray:
    """Add the grain that covering took away, and let the defect fade in from the mask's edge: ``(h, w, 3)``."""
    bare = 1 - np.minimum(np.asarray(paint.cover, np.float32), 1)
    image = paint.image + np.sqrt(1 - bare**2)[..., None] * site.noise()
    if site.chroma == 0:
        image = np.repeat(image[..., 1:2], 3, axis=-1) if np.ptp(image, axis=-1).max() > 0 else image
    blurred = 1 + site.rng.uniform(0.5, 1.6) * site.softness * (site.thickness > _THIN)
    fade = np.clip(site.depth / max(paint.edge, blurred), 0, 1)[..., None]
    return np.asarray(site.patch + fade * (image - site.patch), np.float32)


def _visible(site: Site, painted: np.ndarray) -> np.ndarray:
    """Scale a change that is too faint, and nudge the pixels that it passed by.

    Args:
        site (Site): The site.
        painted (np.ndarray): ``(h, w, 3)``, any range.

    Returns:
        np.ndarray: ``(h, w, 3)``, float32, [0, 1].
    """
    surface = site.patch[site.mask]
    change = painted[site.mask] - surface
    over = _OVER_NOISE if site.thickness > _THIN else _OVER_NOISE_THIN
    wanted = min(max(_CLEAR, over * site.roughness), 0.25)
    # Scaled a little, as more would blow up noise, then shifted as a whole, less at the mask's edge.
    mean = float(np.abs(change).max(axis=1).mean())
    scale = float(np.clip(wanted / max(mean, 1e-4), 1, _LARGEST_SCALE))
    lack = max(wanted - scale * mean, 0.0) * (0.4 + 0.6 * site.inner[site.mask])
    change = scale * change + (lack if change.mean() > 0 else -lack)[:, None]
    image = np.clip(surface + change, 0, 1)
    if np.abs(image - surface).max(axis=1).mean() < 0.6 * wanted:  # no room on that side: change the other way
        rest = wanted * (0.4 + 0.6 * site.inner[site.mask]) * (1 - 2 * round(float(surface.mean())))
        image = np.clip(surface - change + rest[:, None], 0, 1)
    faint = np.abs(image - surface).max(axis=1) < _SEEN
    outer = faint & (site.depth[site.mask] < 1.5)  # the outermost ring
    if outer.mean() <= _SOFT_EDGE:
        faint &= ~outer
    if faint.any():
        # Nudge along with the neighbourhood, or away from black and white.
        trend = cv2.blur(luma(painted - site.patch), (5, 5))[site.mask][faint]
        base = surface[faint]
        step = min(max(_STEP, 0.4 * wanted), _LARGEST_STEP)
        up = (base.max(axis=1) <= 1 - step) & ((base.min(axis=1) < step) | (trend > 0))
        image[faint] = np.clip(base + np.where(up, step, -step)[:, None], 0, 1)
    result = site.patch.copy()
    result[site.mask] = image
    return result
