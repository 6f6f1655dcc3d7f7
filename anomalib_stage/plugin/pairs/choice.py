# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which image gets what: one rule for the callback, the bank and the transform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.seeds import chance, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NOTHING", "Choice", "Shares", "choose"]


class Choice(NamedTuple):
    """What one image gets.

    ``source``: ``none``, it stays as it is; ``network``, it is painted; ``bank``, a pregenerated pair. ``defect``: what
    is painted, ``good`` for a negative; None: drawn by who paints.
    """

    source: Literal["none", "network", "bank"]
    defect: str | None = None

    @property
    def anomalous(self) -> bool:
        """Whether an anomaly is wanted."""
        return self.source != "none" and self.defect != GOOD


NOTHING = Choice("none")
"""The image stays as it is."""


@dataclass(frozen=True)
class Shares:
    """Shares of the images of a training.

    Args:
        probability (float): Share that gets an anomaly, in [0, 1].
        negatives (float): Share of the others in which good surface is painted anew, in [0, 1].
        refresh (float): Share of the anomalies that the network paints, in [0, 1]; the others are a bank's.
        defects (Sequence[str] | None): Defects to paint; None: all that the bundle knows.
    """

    probability: float
    negatives: float = 0.0
    refresh: float = 1.0
    defects: Sequence[str] | None = None


def choose(seed: int, shares: Shares) -> Choice:
    """Choose what an image gets, from its own seed alone.

    Args:
        seed (int): Seed of the image in this step or epoch.
        shares (Shares): How many get what.

    Returns:
        Choice: For this image; the same whoever asks.
    """
    rng = numpy_generator(seed, "choice")
    anomaly, negative = rng.random() < shares.probability, rng.random() < shares.negatives
    if not anomaly:
        return Choice("network", GOOD) if negative else NOTHING
    if shares.refresh < 1.0 and chance(seed, "refresh") >= shares.refresh:
        return Choice("bank")
    return Choice("network", str(rng.choice(list(shares.defects))) if shares.defects else None)
