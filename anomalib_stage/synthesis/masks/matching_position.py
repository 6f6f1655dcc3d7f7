# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a real mask comes to lie: where the image looks like what surrounded it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.synthesis.masks.pose import draw_length, draw_turn, has_direction
from anomalib_stage.synthesis.masks.templates.template import Pose
from anomalib_stage.synthesis.masks.templates.template_match import find_matches, refine_match
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.bank_mask import BankMask

    Bools = NDArray[np.bool_]
    Point = tuple[float, float]

__all__ = ["propose_matching_positions"]


@dataclass(frozen=True)
class MatchingRule:
    """Which positions are proposed.

    Args:
        poses (int): Ways of laying a mask for which positions are looked for.
        window (float): How far those may be from where it was on an object, relative to the object's sides.
        as_good (float): Positions count as equally good up to this factor of the best one's difference.
        noise (float): And this many grey levels.
    """

    poses: int = 8
    window: float = 0.25
    as_good: float = 1.2
    noise: float = 2.0


RULE = MatchingRule()


def propose_matching_positions(
    entry: BankMask,
    masks: Sequence[BankMask],
    template: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    *,
    foreground: Bools | None,
    rng: np.random.Generator,
) -> Iterator[tuple[Point, Pose]]:
    """Propose positions and poses where the image matches a mask's template, in random order of those about as good.

    Half of the poses have the mask upright, turned by right angles unless the defect has a direction: what is made by
    machines is mostly aligned with the image.

    Args:
        entry (BankMask): The mask.
        masks (Sequence[BankMask]): All masks of its defect.
        template (NDArray[np.uint8]): What surrounded it.
        picture (NDArray[np.uint8]): The image in grey, ``(H, W)``.
        foreground (NDArray[np.bool_] | None): ``(H, W)``, the object; None: everywhere.
        rng (np.random.Generator): Source of all choices.

    Yields:
        tuple[Point, Pose]: Row and column of the mask's centre, and how it lies.
    """
    box = (0, 0, *picture.shape) if foreground is None else bounding_box(foreground)
    window = None
    if foreground is not None:
        rows, columns = (
            slice(max(round(start + (at - RULE.window) * side), 0), round(start + (at + RULE.window) * side) + 1)
            for start, side, at in zip(box[:2], box[2:], (entry.row, entry.column), strict=True)
        )
        window = rows, columns
    directed = has_direction(masks)
    poses = []
    for i in range(RULE.poses):
        turn = draw_turn(masks, rng=rng)
        if i % 2 == 0 and not directed:
            turn = math.pi / 2 * int(rng.integers(4))
        poses.append(Pose(draw_length(entry, box, rng=rng), turn, bool(rng.integers(2))))
    matches = find_matches(picture, template, poses, rng=rng, window=window)
    good = [match for match in matches if match.difference <= RULE.as_good * matches[0].difference + RULE.noise]
    for i in rng.permutation(len(good)):
        match = refine_match(good[i], picture, template)
        yield (match.row, match.column), match.pose
