# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Objects before a background: pictures that are mostly the light on a form, not a material.

A form takes the layers of a material and returns the layers of an object made of it, of which the frame often shows
only a part. Sizes are in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.rendering.surface_types.flat_objects import draw_assembly, draw_cutout
from anomalib_stage.rendering.surface_types.round_objects import draw_rings, draw_tablet, draw_thread, draw_tube

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.rendering.surface_types.fields import Layers

__all__ = ["FORMS"]


FORMS: dict[str, Callable[..., Layers]] = {
    "cutout": draw_cutout,
    "tube": draw_tube,
    "rings": draw_rings,
    "thread": draw_thread,
    "assembly": draw_assembly,
    "tablet": draw_tablet,
}
"""Forms: functions of a material's layers and a random stream, ``(material, *, rng)``."""
