# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A mask of a real defect with its place on the object: what a fitted bundle knows about masks.

Every mask is kept together with its place, size and direction, so that drawing one draws from their joint distribution:
large chips where large chips were, prints where prints were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

__all__ = ["STORED_SIDE", "BankMask"]

STORED_SIDE = 192
"""Masks with a longer side are stored reduced to this one."""


@dataclass(frozen=True, eq=False)
class BankMask:
    """A real mask and where it was.

    Args:
        cells (NDArray[np.bool_]): The mask in its bounding box, at most 192 cells a side.
        row (float): Row of its centre relative to the object's bounding box, 0 top, 1 bottom.
        column (float): Column, 0 left, 1 right.
        length (float): Its longer side, relative to the shorter side of that box.
        depth (float): Distance of its centre from the object's edge, relative to that side.
        on_edge (bool): It lies on the object's edge.
        outward (float): Direction from its centre to the nearest point of the edge, radians from the column axis.
        direction (float): Direction of its long axis, radians in [0, pi).
        elongation (float): Share by which the long axis exceeds the short one, 0 round to 1 a line.
        template (NDArray[np.uint8] | None): What surrounded it, ``(48, 48)``, see
            :func:`~anomalib_stage.synthesis.masks.templates.template.crop_template`; None: not kept.
        exemplar (NDArray[np.uint8] | None): The defect itself, RGB in the cells' size ``(h, w, 3)``, see
            :func:`~anomalib_stage.synthesis.appearance.exemplar.fill_exemplar`; None: not kept.
    """

    cells: Bools
    row: float
    column: float
    length: float
    depth: float
    on_edge: bool
    outward: float
    direction: float
    elongation: float
    template: NDArray[np.uint8] | None = None
    exemplar: NDArray[np.uint8] | None = None
