# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How visible a painted anomaly is: its change against the local noise and texture of the clean surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional as F

from anomalib_stage.synthesis.blend.nearby_texture import FINE, average, measure_nearby_texture

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["JUST_VISIBLE", "Visibility", "find_changed", "measure_visibility"]

JUST_VISIBLE = 4.0 / 255.0
"""Smallest contrast that a person sees on an even surface, as a fraction of the full range."""


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
    area = average(inside, FINE)
    change = average((painted - clean) * inside, FINE) / area.clamp_min(1e-6) * inside
    change = change.square().amax(dim=1, keepdim=True).sqrt()
    texture = measure_nearby_texture(clean, mask) if texture is None else texture
    unit = 2.0**0.5 * texture + JUST_VISIBLE
    pixels = inside.flatten(1).sum(dim=1)
    score = (change.flatten(1).square().sum(dim=1) / pixels.clamp_min(1.0)).sqrt() / unit
    seen = (change >= unit.view(-1, 1, 1, 1)) & mask
    agreement = seen.flatten(1).sum(dim=1) / pixels.clamp_min(1.0)
    return Visibility(score, agreement, _close_gaps(seen) & mask)


def find_changed(clean: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Return the pixels of masks that differ from the clean picture at all, small gaps closed.

    Args:
        clean (Tensor): Clean regions ``(B, 3, H, W)``.
        painted (Tensor): Painted regions, same shape.
        mask (Tensor): ``(B, 1, H, W)`` bool.

    Returns:
        Tensor: ``(B, 1, H, W)`` bool, part of the mask.
    """
    return _close_gaps((painted != clean).any(dim=1, keepdim=True) & mask) & mask


def _close_gaps(seen: Tensor) -> Tensor:
    """Close small gaps: morphological closing with a 3 x 3 square."""
    grown = F.max_pool2d(seen.float(), 3, stride=1, padding=1)
    return -F.max_pool2d(-F.pad(grown, (1,) * 4, value=1.0), 3, stride=1) > 0
