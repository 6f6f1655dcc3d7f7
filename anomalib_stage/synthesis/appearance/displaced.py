# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Displaced surface: what belongs to another place of the image, as where it is torn, frayed, folded or put on.

Where nobody has shown real defects there is one source of real detail left: the surface itself. Patches of it that are
pasted elsewhere teach a network much about large defects (CutPaste, arXiv 2104.04015), and little about their edges,
since their outlines are rectangles. Here a drawn mask takes the picture of another place, turned and mirrored, as an
exemplar (:mod:`~anomalib_stage.synthesis.appearance.exemplar`), in half of the cases in a colour drawn for its context.
No network is asked: there is nothing to make up, and large regions are what takes it longest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.synthesis.appearance.exemplar import Exemplar
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BODIES", "DISPLACED", "cut_elsewhere"]

DISPLACED = frozenset({"chip", "contamination", "discoloration", "stain"})
"""Defects of the default bundle that may be displaced surface."""

BODIES = frozenset({"blob", "edge_chip", "perlin"})
"""Mask shapes with room for a texture."""

TRIES, ENOUGH = 8, 0.95
"""Places looked at, and the share of the object in one that is taken at once."""


def cut_elsewhere(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], *, allowed: NDArray[np.bool_] | None, rng: np.random.Generator
) -> Exemplar | None:
    """Take the picture of another place for a mask.

    Args:
        pixels (NDArray[np.uint8]): The image, ``(H, W, 3)`` RGB.
        mask (NDArray[np.bool_]): ``(H, W)``, not empty.
        allowed (NDArray[np.bool_] | None): ``(H, W)``, the object, which the place should lie on; None: everywhere.
        rng (np.random.Generator): Draws the place, the turn by quarters, and whether it is mirrored.

    Returns:
        Exemplar | None: As large as the mask's bounding box, and there; None if the image is too narrow for it turned.
    """
    row, column, *sides = bounding_box(mask)
    best, found = -1.0, None
    for _ in range(TRIES):
        turns = int(rng.integers(4))
        height, width = sides[::-1] if turns % 2 else sides
        free = mask.shape[0] - height, mask.shape[1] - width
        if min(free) < 0:
            continue
        top, left = (int(rng.integers(most + 1)) for most in free)
        window = np.s_[top : top + height, left : left + width]
        share = 1.0 if allowed is None else float(allowed[window].mean())
        if share > best:
            best, found = share, (window, turns)
        if share >= ENOUGH:
            break
    if found is None:
        return None
    window, turns = found
    part = np.rot90(pixels[window], turns)
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return Exemplar(np.ascontiguousarray(part), row, column, whole=True)
