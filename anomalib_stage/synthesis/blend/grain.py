# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The grain of a painted place: that of the surface it is painted on.

A camera lays one grain over all that it sees, defect or not. A small network paints another one: too weak or too
strong, in directions of its own, and with a colour of its own at every pixel. A segmenter finds it before it finds any
defect. So the finest detail of a painted place, below what a defect is made of, is the clean picture's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["match_grain"]

STANDS_OUT = 3.0
"""Painted detail is kept as far as its power exceeds this multiple of the grain's power."""

ROUNDING = (0.5 / 255.0) ** 2
"""Power below which detail is no detail: half a grey level of an 8-bit picture."""


def match_grain(painted: Tensor, clean: Tensor, mask: Tensor, *, intact: Tensor) -> Tensor:
    """Give painted places the grain of the surface under them.

    Grain is what differs from the mean over about 3 px, taken inside the mask alone, so that edges of the mask are not
    grain. The painted grain is exchanged for the clean one: all of it in colour, and in brightness where it does not
    stand out from the clean grain (a Wiener filter's gain), so that thin lines and sharp edges inside a mask stay.

    Args:
        painted (Tensor): Painted regions ``(B, 3, h, w)``, float in [0, 1].
        clean (Tensor): The same regions as they were, same shape.
        mask (Tensor): Painted pixels, ``(B, 1, h, w)`` bool.
        intact (Tensor): Which samples are intact surface, ``(B,)`` bool: nothing stands out there.

    Returns:
        Tensor: ``(B, 3, h, w)`` in [0, 1], changed inside the mask.
    """
    inside = mask.to(clean.dtype)
    area = _average(inside).clamp_min(1e-6)

    def smooth(values: Tensor) -> Tensor:
        return _average(values * inside) / area

    level = smooth(painted)
    detail, grain = painted - level, clean - smooth(clean)
    bright, fine = detail.mean(dim=1, keepdim=True), grain.mean(dim=1, keepdim=True)
    power, noise = smooth(bright.square()), smooth(fine.square()) + ROUNDING
    gain = (1.0 - STANDS_OUT * noise / power.clamp_min(1e-9)).clamp(0.0, 1.0) * ~intact.view(-1, 1, 1, 1)
    return torch.where(mask, (level + grain + gain * (bright - fine)).clamp(0.0, 1.0), painted)


def _average(values: Tensor) -> Tensor:
    """Average over 5 x 5 pixels, which weighs the middle most: twice over 3 x 3; nothing lies beyond the border."""
    for _ in range(2):
        values = F.avg_pool2d(values, 3, stride=1, padding=1)
    return values
