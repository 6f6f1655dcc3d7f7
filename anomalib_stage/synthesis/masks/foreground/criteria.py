# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds of the search for an object."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CRITERIA", "Criteria"]


@dataclass(frozen=True)
class Criteria:
    """What tells an object on a ground from a texture.

    Args:
        ring (float): Width of the border strip that shows the ground, as a fraction of the shorter side.
        noticeable (float): Least distance from the ground, in CIE Lab units, of what may be object.
        ground_on_border (float): Least share of the border strip that the ground explains.
        roughness (float): Largest deviation of the ground from its smooth model, in Lab units: rougher ones are
            textures.
        contrast (tuple[float, float]): Least distance of the object's median from the ground, in units of the threshold
            between them; and the distance below which its ground must be even and its outline sharp.
        sharpness (float): Least median step across the outline within 5 cells, as a share of that distance: shading and
            patina are softer.
        cut (float): Largest share of the border strip that the object covers: what the frame cuts is a piece of a
            pattern.
        solid (float): Least share of the object that is left when everything thinner than 5 % of the picture is taken
            away.
        area (tuple[float, float]): Smallest and largest share of the picture that an object covers.
    """

    ring: float = 0.03
    noticeable: float = 7.0
    ground_on_border: float = 0.85
    roughness: float = 2.5
    contrast: tuple[float, float] = (1.5, 3.0)
    sharpness: float = 0.6
    cut: float = 0.04
    solid: float = 0.6
    area: tuple[float, float] = (0.002, 0.97)


CRITERIA = Criteria()
