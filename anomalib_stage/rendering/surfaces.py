# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered good surfaces: what an inspection camera sees when nothing is wrong.

A family draws what the surface is made of: a reflectance map and a height map. One camera then photographs them all:
lighting of the height map, uneven illumination, highlight, colour, blur, grain, compression. Sizes are in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.camera import photograph
from anomalib_stage.rendering.surface_types.materials import MATERIALS, draw_material
from anomalib_stage.rendering.surface_types.objects import FORMS
from anomalib_stage.rendering.surface_types.patterns import draw_perforated, draw_printed, draw_tiled, draw_tracks
from anomalib_stage.rendering.surface_types.solids import draw_glass, draw_grains, draw_wood
from anomalib_stage.rendering.surface_types.textiles import draw_fibres, draw_leather, draw_mesh, draw_woven

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.surface_types.fields import Field, Layers

__all__ = ["SURFACES", "draw_object", "render_surface"]


def draw_object(size: tuple[int, int], rng: np.random.Generator) -> Layers:
    """Part of an object with sharp borders before a background."""
    form = str(rng.choice(list(FORMS)))
    flat = ("plain", "brushed_metal", "cast", "machined", "stone") if form in {"cutout", "assembly"} else ()
    return FORMS[form](draw_material(size, rng, among=("plain", "plain", "plain", "cast", *flat)), rng=rng)


SURFACES: dict[str, Callable[[tuple[int, int], np.random.Generator], Layers]] = {
    **MATERIALS,
    "leather": draw_leather,
    "grains": draw_grains,
    "fibres": draw_fibres,
    "woven": draw_woven,
    "mesh": draw_mesh,
    "wood": draw_wood,
    "tracks": draw_tracks,
    "printed": draw_printed,
    "glass": draw_glass,
    "object": draw_object,
    "perforated": draw_perforated,
    "tiled": draw_tiled,
}
"""Surface families: functions of size and random stream that return reflectance and height."""

_OFTEN = {"plain": 2.0, "brushed_metal": 2.0, "cast": 2.5, "machined": 1.5, "stone": 1.5, "tracks": 1.2, "object": 4.0}

_SHARES = np.array([_OFTEN.get(family, 0.8) for family in SURFACES])


def render_surface(size: tuple[int, int], *, rng: np.random.Generator, family: str | None = None) -> Field:
    """Render a good surface.

    Args:
        size (tuple[int, int]): Height and width in pixels, at least 16 each.
        rng (np.random.Generator): Source of randomness; the same stream gives the same picture.
        family (str | None): One of ``SURFACES``; None draws one.

    Returns:
        NDArray[np.float32]: ``(H, W, 3)`` RGB in [0, 1]; three equal channels in about half of the draws.

    Raises:
        InputError: If the family is unknown or the size is below 16.
    """
    if min(size) < 16:
        msg = f"surface of {size} px asked for; at least 16 px a side"
        raise InputError(msg)
    name = str(rng.choice(list(SURFACES), p=_SHARES / _SHARES.sum())) if family is None else family
    if name not in SURFACES:
        msg = f"unknown surface family {name!r}; known are {', '.join(SURFACES)}"
        raise InputError(msg)
    reflectance, height = SURFACES[name](size, rng)
    if rng.random() < 0.35:  # soft light, weak texture: nearly uniform
        contrast = rng.uniform(0.1, 0.8)
        reflectance, height = reflectance.mean() + contrast * (reflectance - reflectance.mean()), contrast * height
    return photograph(reflectance, height, rng=rng)
