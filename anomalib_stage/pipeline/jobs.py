# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be painted, decided once, and what was painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.regions import Region

__all__ = ["GOOD", "Job", "Patch", "Transfer"]

GOOD = "good"
"""The defect that is none: intact surface is painted anew; its pairs are negatives with label False."""


class Transfer(NamedTuple):
    """What an anomaly takes from its exemplar: its detail, ``gain`` times as strong, and perhaps its colours."""

    gain: float
    own_colours: bool


@dataclass(frozen=True, eq=False)
class Job:
    """One anomaly to paint, with every decision about it but the picture.

    Plain data: numbers, names, arrays and tensors on the CPU, so that jobs can be planned in another thread or process
    than the one that paints. The appearance is no part of it: it suits the surface, which is measured on the device,
    and is drawn there from the seed.

    Args:
        index (int): Image of the batch that it is painted into.
        defect (str): Defect of the bundle, or ``good``.
        seed (int): Seed of the noise and of every draw.
        mask (Tensor): Where, ``(1, H, W)`` bool on the CPU, not empty.
        strength (float): How far it leaves the clean surface, in (0, 1].
        softness (float): How far it fades towards the mask's edge, in [0, 1].
        attempt (int): 0, or the number of the try after pictures that could not be used.
        given (bool): The mask is the user's: other tries keep it.
        foreground (Tensor | None): Where the object is, ``(1, H, W)`` bool on the CPU: the anomaly is laid on its
            surface, not on what lies beside it; None: everywhere.
        exemplar (Exemplar | None): The real defect that the mask was, or another place of the image; None: neither.
        transfer (Transfer | None): What is taken from the exemplar; None: nothing, the network makes all of it up.
    """

    index: int
    defect: str
    seed: int
    mask: Tensor
    strength: float = 1.0
    softness: float = 0.0
    attempt: int = 0
    given: bool = False
    foreground: Tensor | None = None
    exemplar: Exemplar | None = None
    transfer: Transfer | None = None

    @property
    def again(self) -> tuple[int, ...]:
        """Key of a repeated draw; the first has none, so that its numbers do not depend on there being others."""
        return (self.attempt,) if self.attempt else ()

    @property
    def needs_network(self) -> bool:
        """Whether there is anything for a network to paint: an exemplar may be all that is to be seen."""
        return self.transfer is None or self.exemplar is None or not self.exemplar.whole


@dataclass(frozen=True, eq=False)
class Patch:
    """A painted region.

    Args:
        region (Region): Where it belongs.
        pixels (Tensor): ``(3, region.height, region.width)`` float32 in [0, 1].
        score (float): Visibility of the anomaly, see :class:`~anomalib_stage.synthesis.blend.visibility.Visibility`.
        agreement (float): Share of the mask that is visible, [0, 1].
        exact (bool): The picture has two levels: what has not changed there is no anomaly.
        seen (Tensor): ``(1, region.height, region.width)`` bool on the CPU, the visible part of the mask.
    """

    region: Region
    pixels: Tensor
    score: float
    agreement: float
    exact: bool
    seen: Tensor
