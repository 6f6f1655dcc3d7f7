# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""An epsilon network with one mask guidance adapter for each branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter
    from anomalib_stage.synthesis.diffusion.denoising import Branch, Conditioning

__all__ = ["AdaptedDenoiser"]


class AdaptedDenoiser:
    """An epsilon network followed by one mask guidance adapter for each branch: the published arrangement.

    Args:
        network (Callable[[Tensor, Tensor, Tensor], Tensor]): ``(x, t, condition) -> eps``.
        aware (MaskGuidanceAdapter | Callable): Adapter of the anomaly-aware branch, ``(eps, mask) -> eps``.
        only (MaskGuidanceAdapter | Callable): Adapter of the anomaly-only branch.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor, Tensor], Tensor],
        *,
        aware: MaskGuidanceAdapter | Callable[[Tensor, Tensor], Tensor],
        only: MaskGuidanceAdapter | Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.network, self.aware, self.only = network, aware, only

    def __call__(self, x: Tensor, t: Tensor, *, conditioning: Conditioning, aligned: Tensor, branch: Branch) -> Tensor:
        """Return the guided eps; see :class:`~anomalib_stage.synthesis.diffusion.denoising.Denoiser`."""
        adapter = self.aware if branch == "aware" else self.only
        guided: Tensor = adapter(self.network(x, t, conditioning.condition), aligned)
        return guided
