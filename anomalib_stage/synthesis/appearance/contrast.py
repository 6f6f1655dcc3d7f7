# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Holding an estimate to the wanted appearance: its mean colour, and no more contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.synthesis.appearance.appearance import COLOURS, measure_appearance, spread

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["compute_contrast_limits", "limit_contrast"]


def compute_contrast_limits(mask: Tensor, filled: Tensor, contrast: Tensor) -> Tensor:
    """Return the most contrast ``(B,)`` that an estimate may have: the wanted one, and the filled hole's own deviation.

    Where a mask lies on two materials, the filling runs from one to the other, and what is painted need not.

    Args:
        mask (Tensor): Anomaly mask, float in {0, 1}, ``(B, 3 * cells, h, w)``, not empty.
        filled (Tensor): The surface around, in the mask changed by the wanted colour shift, same shape.
        contrast (Tensor): Wanted contrast, ``(B,)``.
    """
    uneven = measure_appearance(filled, mask, torch.zeros_like(filled))[:, COLOURS]
    return (contrast.square() + uneven.square()).sqrt()


def limit_contrast(estimate: Tensor, mask: Tensor, filled: Tensor, allowed: Tensor) -> Tensor:
    """Take out of an estimate of clean latents what the wanted appearance forbids: another colour, more contrast.

    A small network follows the noise that it sees, and its errors stay in the picture as clouds. What it may not decide
    is put right in closed form: inside the mask the mean of each colour becomes that of ``filled``, and the deviation
    from ``filled`` is scaled down where it is larger than allowed.

    Args:
        estimate (Tensor): Clean latents as the network estimates them, ``(B, 3 * cells, h, w)``.
        mask (Tensor): Anomaly mask, float in {0, 1}, same shape, not empty.
        filled (Tensor): The surface around, in the mask changed by the wanted colour shift, same shape.
        allowed (Tensor): Most contrast, ``(B,)``, see :func:`compute_contrast_limits`.

    Returns:
        Tensor: The estimate, changed inside the mask.
    """
    found = measure_appearance(estimate, mask, filled)
    deviation = estimate - filled - spread(found[:, :COLOURS], like=estimate)
    share = (allowed / found[:, COLOURS].clamp_min(1e-6)).clamp_max(1.0).view(-1, 1, 1, 1)
    return torch.where(mask > 0, filled + share * deviation, estimate)
