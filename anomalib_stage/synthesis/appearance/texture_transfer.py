# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The surface's own texture under an anomaly, as where it is stained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from anomalib_stage.synthesis.appearance.appearance import COLOURS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["compute_texture_weight", "transfer_texture"]

TRANSFER_FROM, TRANSFER_WHOLE = 400, 2400
"""Pixels of an anomaly from which on it keeps some of the surface's texture, and from which on the full share."""

GAIN = (0.25, 1.5)
"""Least and most change of the texture's contrast."""


def compute_texture_weight(mask: Tensor) -> Tensor:
    """Say how far anomalies of this size go on with the texture of the surface under them.

    A spot has a texture of its own. What covers much of a surface (a stain, worn or uneven ground) is mostly the same
    surface in another colour. The share rises with the logarithm of the pixels, from 0 at 400 to 1 at 2,400.

    Args:
        mask (Tensor): Anomaly mask, float in {0, 1}, ``(B, C, h, w)``, of latents with all cells of three colours.

    Returns:
        Tensor: ``(B,)`` in [0, 1].
    """
    pixels = (mask.flatten(1).sum(dim=1) / COLOURS).clamp_min(1.0)
    return ((pixels / TRANSFER_FROM).log() / math.log(TRANSFER_WHOLE / TRANSFER_FROM)).clamp(0.0, 1.0)


def transfer_texture(clean: Tensor, filled: Tensor, shifted: Tensor) -> Tensor:
    """Return the surface in another colour, with its texture: reflectance scales level and texture alike.

    Args:
        clean (Tensor): Latents, in [-1, 1].
        filled (Tensor): Their smooth level, same shape.
        shifted (Tensor): That level changed by the colour shift, same shape.

    Returns:
        Tensor: ``shifted`` and the texture of ``clean``, its contrast scaled as the level is, by 0.25 to 1.5.
    """
    gain = ((1.0 + shifted) / (1.0 + filled).clamp_min(1e-2)).clamp(*GAIN)
    return (shifted + gain * (clean - filled)).clamp(-1.0, 1.0)
