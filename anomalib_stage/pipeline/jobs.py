# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be painted, and what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.regions import Region

__all__ = ["Job", "Patch"]


@dataclass(frozen=True, eq=False)
class Job:
    """One anomaly to paint.

    Args:
        image (Tensor): Clean image ``(3, H, W)``, float in [0, 1].
        mask (Tensor): Where, ``(1, H, W)`` bool on the CPU, not empty.
        defect (str): Defect of the bundle.
        seed (int): Seed of the noise.
        strength (float): How far it leaves the clean surface, in (0, 1].
        attempt (int): 0, or the number of the fresh noise after a picture that could not be used.
        foreground (Tensor | None): Where the object is, ``(1, H, W)`` bool on the CPU: the anomaly is laid on its
            surface, not on what lies beside it; None: everywhere.
        exemplar (Exemplar | None): The real defect that the mask was, or another place of the image, to take detail
            from; None: there is none.
    """

    image: Tensor
    mask: Tensor
    defect: str
    seed: int
    strength: float = 1.0
    attempt: int = 0
    foreground: Tensor | None = None
    exemplar: Exemplar | None = None

    @property
    def again(self) -> tuple[int, ...]:
        """Key of a repeated draw; the first has none, so that its numbers do not depend on there being others."""
        return (self.attempt,) if self.attempt else ()


@dataclass(frozen=True, eq=False)
class Patch:
    """A painted region.

    Args:
        region (Region): Where it belongs.
        pixels (Tensor): ``(3, region.height, region.width)`` float32 in [0, 1].
        score (float): Visibility of the anomaly, see :class:`~anomalib_stage.synthesis.blend.visibility.Visibility`.
        agreement (float): Share of the mask that is visible, [0, 1].
        exact (float): 1 where the picture has two levels: what has not changed there is no anomaly; else 0.
        seen (Tensor): ``(1, region.height, region.width)`` bool on the CPU, the visible part of the mask.
    """

    region: Region
    pixels: Tensor
    score: float
    agreement: float
    exact: float
    seen: Tensor
