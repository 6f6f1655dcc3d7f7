# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Appearances measured in training, and how one is drawn for an anomaly.

They are drawn from those that were measured for the defect, on surfaces as bright and in masks as large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.appearance import APPEARANCE_COLUMNS, COLOURS, CONTEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

__all__ = ["AppearanceBank", "unpack_appearances"]


@dataclass(frozen=True)
class DrawingRule:
    """How appearances are drawn for a surface.

    Args:
        near (tuple[float, ...]): Deviation within which contexts count as alike, one for each of their columns.
        jitter (tuple[float, float]): Relative and absolute deviation of a drawn appearance from the measured one.
        visible (tuple[float, float]): An appearance shows on a surface from this multiple of its roughness on, and this
            much more.
        eye (float): Pixels that the eye takes in at once (:mod:`~anomalib_stage.synthesis.blend.visibility`).
        plainer (float): How much more that must be, as a multiple, after each picture that showed nothing.
        hidden (float): What it adds to the squared distance of contexts if an appearance would not show there: those
            that the gate would refuse are drawn only where there are no others.
    """

    near: tuple[float, ...] = (0.12, 0.12, 0.12, 1.0, 0.5)
    jitter: tuple[float, float] = (0.12, 0.02)
    visible: tuple[float, float] = (1.5, 0.04)
    eye: float = 9.0
    plainer: float = 0.75
    hidden: float = 9.0


RULE = DrawingRule()


class AppearanceBank:
    """Appearances measured in training, to draw from.

    Args:
        rows (Mapping[str, NDArray[np.float32]]): For each defect ``(n, 9)`` rows of :data:`APPEARANCE_COLUMNS`. A
            defect without rows takes those of all defects.

    Raises:
        InputError: If there is no row at all.
    """

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        self.rows = {defect: table for defect, table in rows.items() if len(table)}
        if not self.rows:
            msg = "there is no look.<defect> tensor; anomalies are painted with appearances measured in training"
            raise InputError(msg)
        self._all = np.concatenate(list(self.rows.values()))
        self._near = np.array(RULE.near, dtype=np.float32)

    def draw(
        self, defect: str, context: NDArray[Any], *, rng: np.random.Generator, attempt: int = 0, seen: bool = True
    ) -> Rows:
        """Draw the appearance of an anomaly.

        Args:
            defect (str): Defect.
            context (NDArray[Any]): Where it will lie, ``(5,)``, see :func:`compute_context`.
            rng (np.random.Generator): Stream that every draw comes from.
            attempt (int): How many appearances could not be seen there before; each makes plainer ones more likely.
            seen (bool): Prefer those that show there; False for intact surface, which is not to be seen.

        Returns:
            NDArray[np.float32]: ``(4,)``, shift of each colour and contrast; the anomaly's level stays in [-1, 1].
        """
        table = self.rows.get(defect, self._all)
        distance = np.square((table[:, :CONTEXT] - context) / self._near).sum(axis=1)
        if seen:
            distance += np.where(_find_visible(table, context, plainer=1.0 + RULE.plainer * attempt), 0.0, RULE.hidden)
        weights = np.exp(-0.5 * (distance - distance.min()))
        appearance = table[int(rng.choice(len(table), p=weights / weights.sum())), CONTEXT:].copy()
        relative, absolute = RULE.jitter
        appearance *= 1.0 + relative * float(np.clip(rng.standard_normal(), -2.0, 2.0))
        appearance[:COLOURS] += absolute * float(rng.standard_normal())
        level = context[:COLOURS]
        appearance[:COLOURS] = np.clip(level + appearance[:COLOURS], -1.0, 1.0) - level
        return np.asarray(appearance, dtype=np.float32)


def _find_visible(table: Rows, context: NDArray[Any], *, plainer: float = 1.0) -> NDArray[np.bool_]:
    """Return which appearances would be seen on a surface: those that change it by more than its own roughness."""
    roughness = float(np.exp2(context[CONTEXT - 1]))
    level, contrast = context[:COLOURS], table[:, CONTEXT + COLOURS]
    shift = (
        np.clip(level + table[:, CONTEXT : CONTEXT + COLOURS], -1.0, 1.0) - level
    )  # what is left of it on black or white
    # light and dark of the smallest masks cancel out within what the eye takes in at once
    apart = max(1.0 - RULE.eye / float(np.exp2(context[COLOURS])), 0.0)
    change = np.square(shift).max(axis=1) + apart * np.maximum(np.square(contrast) - roughness**2, 0.0)
    seen: NDArray[np.bool_] = change >= np.square(plainer * (RULE.visible[0] * roughness + RULE.visible[1]))
    return seen


def unpack_appearances(arrays: Mapping[str, NDArray[Any]]) -> AppearanceBank:
    """Read the arrays ``look.<defect>``; arrays with other names are ignored.

    Raises:
        InputError: If there are none, or one is not a table of :data:`APPEARANCE_COLUMNS`.
    """
    rows: dict[str, Rows] = {}
    for name, table in arrays.items():
        if not name.startswith("look."):
            continue
        if table.ndim != 2 or table.shape[1] != len(APPEARANCE_COLUMNS) or not len(table):
            columns = ", ".join(APPEARANCE_COLUMNS)
            msg = f"{name} has shape {table.shape}; it must be (n, {len(APPEARANCE_COLUMNS)}), {columns}"
            raise InputError(msg)
        rows[name.removeprefix("look.")] = table.astype(np.float32)
    return AppearanceBank(rows)
