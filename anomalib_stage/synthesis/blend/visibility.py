# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How visible a painted anomaly is: its change against the local noise and texture of the clean surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AROUND", "JUST_VISIBLE", "Visibility", "find_changed", "measure_nearby_texture", "measure_visibility"]

JUST_VISIBLE = 4.0 / 255.0
"""Smallest contrast that a person sees on an even surface, as a fraction of the full range."""

FINE, COARSE = 3, 9
"""Sides in pixels of the windows between whose means the surface's own texture is measured."""

AROUND = 16
"""The texture that can hide an anomaly lies within this many pixels of it."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """Visibility of one anomaly for each sample.

    Args:
        score (Tensor): ``(B,)`` float, root mean square change inside the mask, in units of what repainting good
            surface with good surface would change there; 0 where the mask is empty.
        agreement (Tensor): ``(B,)`` float in [0, 1], share of the mask's pixels whose change exceeds that unit.
        seen (Tensor): ``(B, 1, H, W)`` bool, those pixels, small gaps closed; always part of the mask.
    """

    score: Tensor
    agreement: Tensor
    seen: Tensor


def measure_nearby_texture(clean: Tensor, mask: Tensor) -> Tensor:
    """Measure the texture that can hide an anomaly: its deviation between 3 and 9 px, within 16 px of the mask's box.

    Args:
        clean (Tensor): Clean surface ``(B, 3, H, W)``, float in [0, 1], best 16 px wider than the masks' boxes.
        mask (Tensor): Anomaly masks ``(B, 1, H, W)`` bool.

    Returns:
        Tensor: ``(B,)``, that of the channel where it is largest; 0 where the mask is empty.
    """
    near = _near(mask.to(clean.dtype))
    texture = (_mean(clean, FINE) - _mean(clean, COARSE)).square() * near
    return (texture.sum(dim=(2, 3)) / near.sum(dim=(2, 3)).clamp_min(1.0)).amax(dim=1).sqrt()


def measure_visibility(clean: Tensor, painted: Tensor, mask: Tensor, *, texture: Tensor | None = None) -> Visibility:
    """Compare a painted region with the clean one, as an eye does: means of 3 x 3 pixels, against the texture near it.

    The unit is ``sqrt(2) s + 4/255`` with the texture ``s``: two independent pieces of one surface differ by
    ``sqrt(2) s``.

    Args:
        clean (Tensor): Clean regions ``(B, 3, H, W)``, float in [0, 1].
        painted (Tensor): Painted regions, same shape.
        mask (Tensor): Anomaly masks ``(B, 1, H, W)`` bool.
        texture (Tensor | None): ``(B,)``, :func:`measure_nearby_texture` of a wider piece of the surface; None: of this
            one.

    Returns:
        Visibility: One score, agreement and map for each sample; no sample depends on another.
    """
    inside = mask.to(clean.dtype)
    # the mean of the change is taken over mask pixels alone, so that a single pixel keeps its contrast
    area = _mean(inside, FINE)
    change = _mean((painted - clean) * inside, FINE) / area.clamp_min(1e-6) * inside
    change = change.square().amax(dim=1, keepdim=True).sqrt()
    texture = measure_nearby_texture(clean, mask) if texture is None else texture
    unit = 2.0**0.5 * texture + JUST_VISIBLE
    pixels = inside.flatten(1).sum(dim=1)
    score = (change.flatten(1).square().sum(dim=1) / pixels.clamp_min(1.0)).sqrt() / unit
    seen = (change >= unit.view(-1, 1, 1, 1)) & mask
    agreement = seen.flatten(1).sum(dim=1) / pixels.clamp_min(1.0)
    return Visibility(score, agreement, _closed(seen) & mask)


def find_changed(clean: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Return the pixels of masks that differ from the clean picture at all, small gaps closed.

    Args:
        clean (Tensor): Clean regions ``(B, 3, H, W)``.
        painted (Tensor): Painted regions, same shape.
        mask (Tensor): ``(B, 1, H, W)`` bool.

    Returns:
        Tensor: ``(B, 1, H, W)`` bool, part of the mask.
    """
    return _closed((painted != clean).any(dim=1, keepdim=True) & mask) & mask


def _near(inside: Tensor) -> Tensor:
    """Boxes of masks ``(B, 1, H, W)``, wider by ``AROUND`` px on all sides, as 0 and 1."""
    rows, columns = (
        F.max_pool1d(_filled(inside.amax(dim=across)), 2 * AROUND + 1, stride=1, padding=AROUND) for across in (3, 2)
    )
    return rows.unsqueeze(3) * columns.unsqueeze(2)


def _filled(line: Tensor) -> Tensor:
    """Fill the gaps between the first and the last 1 of rows ``(B, 1, N)``."""
    return line.cummax(dim=2).values * line.flip(2).cummax(dim=2).values.flip(2)


def _mean(images: Tensor, side: int) -> Tensor:
    """Mean over ``side`` x ``side`` windows, mirrored at the border."""
    padding = (side // 2,) * 4
    return F.avg_pool2d(F.pad(images, padding, mode="reflect"), side, stride=1)


def _closed(seen: Tensor) -> Tensor:
    """Morphological closing with a 3 x 3 square."""
    grown = F.max_pool2d(seen.float(), 3, stride=1, padding=1)
    return -F.max_pool2d(-F.pad(grown, (1,) * 4, value=1.0), 3, stride=1) > 0
