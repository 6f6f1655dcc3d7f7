# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the samplers tell a denoiser: any backbone looks like this to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Branch", "Conditioning", "Denoiser", "blend"]

Branch = Literal["aware", "only"]
"""``aware``: sees the surface around the anomaly. ``only``: the anomaly alone, the background carries no signal."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a denoiser is told besides the noisy latent.

    Args:
        clean (Tensor): Clean latent z, ``(B, C, h, w)``.
        mask (Tensor): Anomaly mask B, float in {0, 1}, ``(B, C, h, w)`` or ``(B, 1, h, w)``.
        condition (Tensor): One condition vector for each sample, ``(B, D)``.
        filled (Tensor | None): The clean latent with the hole under the mask filled from around it
            (:func:`~anomalib_stage.synthesis.appearance.hole_filling.fill_hole`) and its colour shifted to the
            anomaly's, for denoisers that look at it.
        contrast (Tensor | None): Wanted contrast inside each anomaly, ``(B,)``
            (:mod:`~anomalib_stage.synthesis.appearance.appearance`), for denoisers that look at it.
    """

    clean: Tensor
    mask: Tensor
    condition: Tensor
    filled: Tensor | None = None
    contrast: Tensor | None = None


class Denoiser(Protocol):
    """A network with its conditioning."""

    def __call__(self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Return the prediction (epsilon or v, as the schedule says) at ``x = x_t``, ``t`` int64 ``(B,)``."""
        ...


def blend(mask: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """``mask * inside + (1 - mask) * outside``: AIF and write-back are both this."""
    return mask * inside + (1.0 - mask) * outside
