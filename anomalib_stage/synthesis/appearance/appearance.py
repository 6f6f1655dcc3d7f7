# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The look of an anomaly: how it differs, as a whole, from the surface around it.

A small network that starts from noise decides pixel by pixel whether a body becomes light or dark, and paints it
marbled. So the decision is taken out of its hands: it is told the mean change of each colour and the contrast inside
the mask, and paints the rest. While training, looks are measured on the true anomaly; to paint, they are drawn from
those that were measured for the defect, on surfaces as bright and in masks as large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    Rows = NDArray[np.float32]

__all__ = [
    "ANY_COLOUR",
    "APPEARANCE_COLUMNS",
    "AppearanceBank",
    "compute_context",
    "contrast_limits",
    "draw_colour_shift",
    "limit_contrast",
    "mean_inside",
    "measure_appearance",
    "spread",
    "unpack_appearances",
]

APPEARANCE_COLUMNS = ("level_r", "level_g", "level_b", "size", "unrest", "tone_r", "tone_g", "tone_b", "contrast")
"""Columns of the tensor ``look.<defect>``: where the anomaly was (the surface's level in [-1, 1], binary logarithms of
the mask's pixels and of the surface's unrest), and how it looked (mean change of each colour, deviation around it; both
in latent units, where the full range of a pixel is 2)."""

PLACE = 5
"""How many columns describe the place."""

NEAR = np.array([0.12, 0.12, 0.12, 1.0, 0.5], dtype=np.float32)
"""Deviation within which places count as alike."""

JITTER = (0.12, 0.02)
"""Relative and absolute deviation of a drawn look from the measured one."""

SEEN = (1.5, 0.04)
"""A look shows on a surface from this multiple of its unrest on, and this much more."""

EYE = 9.0
"""Pixels that the eye takes in at once (:mod:`~anomalib_stage.synthesis.blend.visibility`)."""

PLAINER = 0.75
"""How much more that must be, as a multiple, after each picture that showed nothing."""

HIDDEN = 9.0
"""What it adds to the squared distance of places if a look would not show there: those that the gate would refuse are
drawn only where there are no others."""

ANY_COLOUR = frozenset({"chip", "contamination", "discoloration", "scratch", "stain"})
"""Kinds of the default bundle whose anomalies may be of another material than the surface, and so of any colour."""

BRIGHTNESS, MOST_SATURATED, GREY = (0.1, 0.95), 0.8, 1e-4
"""Range of the brightness of such a colour, its highest saturation, and the spread below which a level is grey."""

COLOURS = 3
SMOOTH = 5
"""Side in cells of the window that the surface's unrest is measured against."""
FAINTEST = 0.01
"""Unrest below this does not count."""


def compute_context(surround: Tensor, mask: Tensor) -> Tensor:
    """Describe where an anomaly lies: the surface's level in each colour, the mask's size, and the surface's unrest.

    Args:
        surround (Tensor): Latents whose hole is filled
            (:func:`~anomalib_stage.synthesis.appearance.hole_filling.fill_hole`), ``(B, 3 * cells, h, w)``, all
            cells of a colour side by side.
        mask (Tensor): Anomaly mask, float in {0, 1}, same shape, not empty.

    Returns:
        Tensor: ``(B, 5)`` float32, the first five of :data:`APPEARANCE_COLUMNS`.
    """
    pixels = _pixels(mask)
    padded = F.pad(surround, (SMOOTH // 2,) * 4, mode="replicate")
    outside = 1.0 - mask
    fine = ((surround - F.avg_pool2d(padded, SMOOTH, stride=1)) * outside).square().flatten(1).sum(dim=1)
    roughness = (fine / outside.flatten(1).sum(dim=1).clamp_min(1.0)).sqrt().clamp_min(FAINTEST)
    return torch.cat([mean_inside(surround, mask), torch.stack([pixels, roughness], dim=1).log2()], dim=1)


def measure_appearance(latent: Tensor, mask: Tensor, surround: Tensor) -> Tensor:
    """Measure how anomalies differ from the surface that goes on around them.

    Args:
        latent (Tensor): Latents with the anomaly, ``(B, 3 * cells, h, w)``.
        mask (Tensor): Anomaly mask, float in {0, 1}, same shape, not empty.
        surround (Tensor): The latents with the hole filled, same shape.

    Returns:
        Tensor: ``(B, 4)`` float32, the last four of :data:`APPEARANCE_COLUMNS`.
    """
    pixels = _pixels(mask)
    change = (latent - surround) * mask
    tone = mean_inside(change, mask)
    around = (change - spread(tone, like=latent)) * mask
    contrast = (around.square().sum(dim=(1, 2, 3)) / (COLOURS * pixels)).sqrt()
    return torch.cat([tone, contrast.view(-1, 1)], dim=1)


def contrast_limits(mask: Tensor, surround: Tensor, contrast: Tensor) -> Tensor:
    """Return the most contrast ``(B,)`` that an estimate may have: the wanted one, and the surround's own deviation.

    Where a mask lies on two materials, the surround runs from one to the other, and what is painted need not.

    Args:
        mask (Tensor): Anomaly mask, float in {0, 1}, ``(B, 3 * cells, h, w)``, not empty.
        surround (Tensor): The surface around, in the mask changed by the wanted tone, same shape.
        contrast (Tensor): Wanted contrast, ``(B,)``.
    """
    uneven = measure_appearance(surround, mask, torch.zeros_like(surround))[:, COLOURS]
    return (contrast.square() + uneven.square()).sqrt()


def limit_contrast(estimate: Tensor, mask: Tensor, surround: Tensor, allowed: Tensor) -> Tensor:
    """Take out of an estimate of clean latents what the wanted look forbids: another tone, and more contrast.

    A small network follows the noise that it sees, and its errors stay in the picture as clouds. What it may not decide
    is put right in closed form: inside the mask the mean of each colour becomes that of ``surround``, and the deviation
    from ``surround`` is scaled down where it is larger than allowed.

    Args:
        estimate (Tensor): Clean latents as the network estimates them, ``(B, 3 * cells, h, w)``.
        mask (Tensor): Anomaly mask, float in {0, 1}, same shape, not empty.
        surround (Tensor): The surface around, in the mask changed by the wanted tone, same shape.
        allowed (Tensor): Most contrast, ``(B,)``, see :func:`contrast_limits`.

    Returns:
        Tensor: The estimate, changed inside the mask.
    """
    found = measure_appearance(estimate, mask, surround)
    around = estimate - surround - spread(found[:, :COLOURS], like=estimate)
    share = (allowed / found[:, COLOURS].clamp_min(1e-6)).clamp_max(1.0).view(-1, 1, 1, 1)
    return torch.where(mask > 0, surround + share * around, estimate)


def spread(tone: Tensor, *, like: Tensor) -> Tensor:
    """Lay a colour ``(B, 3)`` over the cells of latents: ``(B, 3 * cells, 1, 1)``."""
    return tone.repeat_interleave(like.shape[1] // COLOURS, dim=1)[..., None, None]


def _pixels(mask: Tensor) -> Tensor:
    return mask.flatten(1).sum(dim=1).div(COLOURS).clamp_min(1.0)


def mean_inside(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each colour of latents inside a mask, ``(B, 3)``; both ``(B, 3 * cells, h, w)``."""
    inside = (values * mask).reshape(len(values), COLOURS, -1).sum(dim=2)
    return inside / _pixels(mask).view(-1, 1)


class AppearanceBank:
    """Looks measured in training, to draw from.

    Args:
        rows (Mapping[str, NDArray[np.float32]]): For each defect ``(n, 9)`` rows of :data:`APPEARANCE_COLUMNS`. A
            defect without rows takes those of all defects.

    Raises:
        InputError: If there is no row at all.
    """

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        self.rows = {defect: table for defect, table in rows.items() if len(table)}
        if not self.rows:
            msg = "there is no look.<defect> tensor; anomalies are painted with looks measured in training"
            raise InputError(msg)
        self._all = np.concatenate(list(self.rows.values()))

    def draw(
        self, defect: str, place: NDArray[Any], *, rng: np.random.Generator, attempt: int = 0, seen: bool = True
    ) -> Rows:
        """Draw the look of an anomaly.

        Args:
            defect (str): Defect.
            place (NDArray[Any]): Where it will lie, ``(5,)``, see :func:`compute_context`.
            rng (np.random.Generator): Stream that every draw comes from.
            attempt (int): How many looks could not be seen there before; each makes plainer ones more likely.
            seen (bool): Prefer looks that show there; False for intact surface, which is not to be seen.

        Returns:
            NDArray[np.float32]: ``(4,)``, tone of each colour and contrast; the anomaly's level stays in [-1, 1].
        """
        table = self.rows.get(defect, self._all)
        distance = np.square((table[:, :PLACE] - place) / NEAR).sum(axis=1)
        if seen:
            distance += np.where(_shows(table, place, plainer=1.0 + PLAINER * attempt), 0.0, HIDDEN)
        weights = np.exp(-0.5 * (distance - distance.min()))
        look = table[int(rng.choice(len(table), p=weights / weights.sum())), PLACE:].copy()
        relative, absolute = JITTER
        look *= 1.0 + relative * float(np.clip(rng.standard_normal(), -2.0, 2.0))
        look[:COLOURS] += absolute * float(rng.standard_normal())
        level = place[:COLOURS]
        look[:COLOURS] = np.clip(level + look[:COLOURS], -1.0, 1.0) - level
        return np.asarray(look, dtype=np.float32)


def _shows(table: Rows, place: NDArray[Any], *, plainer: float = 1.0) -> NDArray[np.bool_]:
    """Return which looks would be seen on a surface: those that change it by more than its own unrest."""
    roughness = float(np.exp2(place[PLACE - 1]))
    level, contrast = place[:COLOURS], table[:, PLACE + COLOURS]
    tone = np.clip(level + table[:, PLACE : PLACE + COLOURS], -1.0, 1.0) - level  # what is left of it on black or white
    # light and dark of the smallest masks cancel out within what the eye takes in at once
    apart = max(1.0 - EYE / float(np.exp2(place[COLOURS])), 0.0)
    change = np.square(tone).max(axis=1) + apart * np.maximum(np.square(contrast) - roughness**2, 0.0)
    seen: NDArray[np.bool_] = change >= np.square(plainer * (SEEN[0] * roughness + SEEN[1]))
    return seen


def draw_colour_shift(place: NDArray[Any], *, rng: np.random.Generator) -> Rows | None:
    """Draw the tone of an anomaly of another material: rust on blue paint, bare metal, something that fell on it.

    Looks are measured on surfaces of many colours and keep near them; what is of another material need not.

    Args:
        place (NDArray[Any]): Where it will lie, ``(5,)``, see :func:`compute_context`.
        rng (np.random.Generator): Stream that every draw comes from.

    Returns:
        NDArray[np.float32] | None: ``(3,)``, what takes the surface's level to a colour of any hue; None if the surface
        is grey in all channels, where a camera without colours is likely.
    """
    level = place[:COLOURS]
    hue, brightness = rng.uniform(0.0, 6.0), rng.uniform(*BRIGHTNESS)
    saturation = MOST_SATURATED * rng.uniform() ** 2  # most things are rather grey
    if np.ptp(level) < GREY:
        return None
    away = np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6.0 - 3.0)  # of red, green and blue on the circle of hues
    colour = brightness * (1.0 - saturation * (1.0 - np.clip(away - 1.0, 0.0, 1.0)))
    return np.asarray(2.0 * colour - 1.0 - level, dtype=np.float32)


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
