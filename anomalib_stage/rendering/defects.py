# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural defects: pictures with exact masks to train the default bundle on.

A defect is painted relative to the surface (its colour, contrast, grain and sharpness) and to the mask's geometry, so
that the denoiser learns how defects relate to what is around them, and not one appearance. What is promised:

* outside the mask the picture is the surface, to the bit;
* inside, nearly every pixel changes visibly, so that the mask is no false label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES, PAINTERS
from anomalib_stage.rendering.defect_types.site import find_site
from anomalib_stage.rendering.faint_changes import strengthen_change

if TYPE_CHECKING:
    from anomalib_stage.rendering.defect_types.paint import Paint
    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["paint_defect"]

_THIN = 2.5  # masks of at most this depth in pixels keep a hard edge: they have no inside to fade in


def paint_defect(surface: np.ndarray, mask: np.ndarray, *, defect: str, rng: np.random.Generator) -> np.ndarray:
    """Paint a defect into a surface.

    Args:
        surface (np.ndarray): ``(H, W, 3)``, float32 in [0, 1], RGB. Three equal channels stay equal.
        mask (np.ndarray): ``(H, W)``, bool, with at least one pixel set.
        defect (str): A name of ``DEFECT_NAMES``. ``good`` paints nothing.
        rng (np.random.Generator): Stream that every draw comes from.

    Returns:
        np.ndarray: ``(H, W, 3)``, float32 in [0, 1], a new array: equal to ``surface`` outside the mask; inside, at
        least 80 % of the pixels differ by more than 2/255 in some channel.

    Raises:
        InputError: If the defect is unknown, or surface and mask are not as described.
    """
    _check_arguments(surface, mask, defect=defect)
    picture = surface.copy()
    if defect == "good":
        return picture
    site, box = find_site(surface, mask, rng=rng)
    with np.errstate(over="ignore"):
        painted = strengthen_change(site, _finish(site, PAINTERS[defect](site)))
    picture[box][site.mask] = painted[site.mask]
    return picture


def _check_arguments(surface: np.ndarray, mask: np.ndarray, *, defect: str) -> None:
    """Refuse arguments that :func:`paint_defect` cannot work with."""
    if defect not in DEFECT_NAMES:
        msg = f"Unknown defect {defect!r}. Known defects: {', '.join(DEFECT_NAMES)}. Use one of them."
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


def _finish(site: Site, paint: Paint) -> np.ndarray:
    """Add the grain that covering took away, and let the defect fade in from the mask's edge: ``(h, w, 3)``."""
    bare = 1 - np.minimum(np.asarray(paint.cover, np.float32), 1)
    image = paint.image + np.sqrt(1 - bare**2)[..., None] * site.draw_noise()
    if site.chroma == 0:
        image = np.repeat(image[..., 1:2], 3, axis=-1) if np.ptp(image, axis=-1).max() > 0 else image
    blurred = 1 + site.rng.uniform(0.5, 1.6) * site.softness * (site.thickness > _THIN)
    fade = np.clip(site.depth / max(paint.edge, blurred), 0, 1)[..., None]
    return np.asarray(site.patch + fade * (image - site.patch), np.float32)
