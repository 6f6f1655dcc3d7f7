# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a step is made of: real defects, rendered ones and good surface, and how much of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from anomalib_stage.training.data.regions.good_surfaces import GoodSurfaces
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.regions.rendered import ProceduralDefects
from anomalib_stage.training.data.regions.weighted_sources import Mixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Source

__all__ = ["Shares", "build_mixture", "compute_shares"]


class Shares(NamedTuple):
    """Shares of the training regions; they add up to one.

    Args:
        real (float): Regions around real defects.
        good (float): Regions of good images, without a defect.
        painted (float): Regions of good images with rendered defects: default defects on the user's own surface.
        rendered (float): Rendered surfaces with rendered defects; a fifth of them shows none.
    """

    real: float
    good: float
    painted: float
    rendered: float


def compute_shares(*, real: bool, good: bool, procedural: float) -> Shares:
    """Divide training between its sources.

    Rendered defects have the share ``procedural``, half of it on good images where there are some. The rest is four
    parts real defects and one part good surface; without real defects, rendered ones on good images take their place.

    Args:
        real (bool): Whether there are real defects.
        good (bool): Whether there are good images.
        procedural (float): Share of rendered defects, [0, 1].
    """
    rest = 1.0 - procedural
    if not good:
        return Shares(rest * real, 0.0, 0.0, procedural)
    if not real:
        painted = 0.5 * procedural + 0.5 * rest if procedural > 0 else 0.0
        return Shares(0.0, 1.0 - painted - 0.5 * procedural, painted, 0.5 * procedural)
    return Shares(0.8 * rest, 0.2 * rest, 0.5 * procedural, 0.5 * procedural)


def build_mixture(
    real: RealDefects | None,
    good: Sequence[NDArray[np.uint8]],
    *,
    procedural: float,
    freeze: bool = False,
    quarter: bool,
) -> Mixture:
    """Make the source of training regions. Defects with real defects are not rendered: they look like the real ones.

    Args:
        real (RealDefects | None): Real defects.
        good (Sequence[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
        procedural (float): Share of rendered defects, [0, 1].
        freeze (bool): Only real defects are drawn: the network does not learn from the others.
        quarter (bool): Whether good surface may be turned by quarters.

    Raises:
        DataError: If there is nothing to train on.
    """
    good = [] if freeze else good
    weights = compute_shares(real=real is not None, good=bool(good), procedural=procedural)
    own = frozenset(real.defects) if real is not None else frozenset[str]()
    sources: list[tuple[Source, float]] = [(ProceduralDefects(without=own), weights.rendered)]
    if good:
        sources += [
            (ProceduralDefects(good, without=own), weights.painted),
            (GoodSurfaces(good, quarter=quarter), weights.good),
        ]
    if real is not None:
        sources.append((real, weights.real))
    return Mixture(sources)
