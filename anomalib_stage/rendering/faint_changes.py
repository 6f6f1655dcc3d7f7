# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Changes that are too faint to be a defect: they are strengthened, so that no mask is a false label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.rendering.defect_types.surface_statistics import compute_luma

if TYPE_CHECKING:
    from anomalib_stage.rendering.defect_types.site import Site

__all__ = ["strengthen_change"]


@dataclass(frozen=True)
class Visibility:
    """How clearly a defect must be seen; changes are in the image's units, [0, 1].

    Attributes:
        mean: Smallest mean change of a mask.
        over_noise: Smallest mean change, as a multiple of the surface's own roughness.
        over_noise_thin: The same for thin masks, which the eye loses sooner.
        thin: Depth in pixels up to which a mask is thin.
        largest_scale: A change is scaled up to this; more would blow up its noise.
        seen: Changes below this do not count as visible: rounding to 8 bits could leave 2/255 of them.
        step: Smallest change given to a pixel that showed none.
        largest_step: Largest such change.
        soft_edge: Share of pixels, all next to the mask's edge, that may stay faint: defects fade out.
    """

    mean: float = 7 / 255
    over_noise: float = 2.0
    over_noise_thin: float = 3.0
    thin: float = 2.5
    largest_scale: float = 1.8
    seen: float = 3.01 / 255
    step: float = 4 / 255
    largest_step: float = 0.06
    soft_edge: float = 0.15


VISIBLE = Visibility()


def strengthen_change(site: Site, painted: np.ndarray) -> np.ndarray:
    """Scale a change that is too faint, and nudge the pixels that it passed by.

    Args:
        site (Site): The site.
        painted (np.ndarray): ``(h, w, 3)``, any range.

    Returns:
        np.ndarray: ``(h, w, 3)``, float32, [0, 1].
    """
    surface = site.patch[site.mask]
    change = painted[site.mask] - surface
    over = VISIBLE.over_noise if site.thickness > VISIBLE.thin else VISIBLE.over_noise_thin
    wanted = min(max(VISIBLE.mean, over * site.roughness), 0.25)
    # Scaled a little, as more would blow up noise, then shifted as a whole, less at the mask's edge.
    mean = float(np.abs(change).max(axis=1).mean())
    scale = float(np.clip(wanted / max(mean, 1e-4), 1, VISIBLE.largest_scale))
    lack = max(wanted - scale * mean, 0.0) * (0.4 + 0.6 * site.inner[site.mask])
    change = scale * change + (lack if change.mean() > 0 else -lack)[:, None]
    image = np.clip(surface + change, 0, 1)
    if np.abs(image - surface).max(axis=1).mean() < 0.6 * wanted:  # no room on that side: change the other way
        rest = wanted * (0.4 + 0.6 * site.inner[site.mask]) * (1 - 2 * round(float(surface.mean())))
        image = np.clip(surface - change + rest[:, None], 0, 1)
    faint = np.abs(image - surface).max(axis=1) < VISIBLE.seen
    outer = faint & (site.depth[site.mask] < 1.5)  # the outermost ring
    if outer.mean() <= VISIBLE.soft_edge:
        faint &= ~outer
    if faint.any():
        # Nudge along with the neighbourhood, or away from black and white.
        trend = cv2.blur(compute_luma(painted - site.patch), (5, 5))[site.mask][faint]
        base = surface[faint]
        step = min(max(VISIBLE.step, 0.4 * wanted), VISIBLE.largest_step)
        up = (base.max(axis=1) <= 1 - step) & ((base.min(axis=1) < step) | (trend > 0))
        image[faint] = np.clip(base + np.where(up, step, -step)[:, None], 0, 1)
    result = site.patch.copy()
    result[site.mask] = image
    return result
