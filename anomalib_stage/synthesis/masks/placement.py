# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Draw masks like real ones, in places like theirs; and the pictures of the defects that they were."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.appearance.exemplar import Exemplar
from anomalib_stage.synthesis.masks.bank_mask import STORED_SIDE
from anomalib_stage.synthesis.masks.mask_parts import count_parts, keep_few_parts
from anomalib_stage.synthesis.masks.matching_position import propose_matching_positions
from anomalib_stage.synthesis.masks.original_position import propose_original_positions
from anomalib_stage.synthesis.masks.paste import paste
from anomalib_stage.synthesis.masks.warp import jitter, warp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.bank_mask import BankMask
    from anomalib_stage.synthesis.masks.paste import Paste
    from anomalib_stage.synthesis.masks.warp import WarpedMask

    Bools = NDArray[np.bool_]

__all__ = ["PlacedMask", "draw_with_exemplar"]

FIXED_SPREAD = 0.12
"""Defects whose places on the object deviate by less stay where they were."""

TRIES = 24
"""Positions tried; the best one is taken if none is good enough."""

MIN_KEPT = 0.97
"""Least share of a mask that must lie on the object; masks on its edge may lose half."""

SHARP = (0.7, 1.4)
"""Pictures of defects that are enlarged or reduced by factors in this range keep their camera's grain."""


class PlacedMask(NamedTuple):
    """A drawn mask, ``(H, W)`` bool, and the picture of the defect that it was, warped alike; None: not kept."""

    mask: Bools
    exemplar: Exemplar | None


def draw_with_exemplar(
    masks: Sequence[BankMask],
    size: tuple[int, int],
    *,
    foreground: Bools | None,
    rng: np.random.Generator,
    picture: NDArray[np.uint8] | None = None,
) -> PlacedMask:
    """Draw a mask like those of a bank, in a place like theirs, and warp the picture of its defect in the same way.

    The mask is scaled with the object (and by 0.8 to 1.25), turned freely unless the defect has a direction of its own,
    flipped and bent a little, and never falls into more parts than it had. Defects on the object's edge are put on its
    edge and turned to it; defects that were always in one place stay there. Where the image and what surrounded the
    mask are known, it lies where and as the image matches that
    (:mod:`~anomalib_stage.synthesis.masks.matching_position`), else near where it was
    (:mod:`~anomalib_stage.synthesis.masks.original_position`).

    Args:
        masks (Sequence[BankMask]): Masks of one defect.
        size (tuple[int, int]): Height and width of the image in pixels.
        foreground (NDArray[np.bool_] | None): ``(H, W)``, the object; None: everywhere.
        rng (np.random.Generator): Source of all choices.
        picture (NDArray[np.uint8] | None): The image in grey, ``(H, W)``, see
            :func:`~anomalib_stage.synthesis.masks.templates.template.to_grey`; None: not looked at.

    Returns:
        PlacedMask: A mask ``(H, W)``, not empty, on the object, with its exemplar.

    Raises:
        InputError: If there is no mask to draw from, or the object is empty or of another size than the image.
    """
    _check_arguments(masks, size, foreground)
    allowed = np.ones(size, dtype=np.bool_) if foreground is None else foreground
    entry = masks[int(rng.integers(len(masks)))]
    positions = np.array([(mask.row, mask.column) for mask in masks])
    fixed = len(masks) > 2 and float(positions.std(axis=0).max()) < FIXED_SPREAD
    proposals = propose_original_positions(entry, masks, allowed, fixed=fixed, rng=rng)
    if picture is not None and entry.template is not None and not entry.on_edge and not fixed:
        matching = propose_matching_positions(entry, masks, entry.template, picture, foreground=foreground, rng=rng)
        proposals = chain(matching, proposals)
    best, most = None, -1.0
    for position, pose in islice(proposals, TRIES):
        warped = jitter(entry.cells, pose, rng=rng)
        found = paste(warped, position, allowed)
        kept = float(found.cells.sum()) / warped.cells.sum()
        if kept > most:
            best, most = (warped, found), kept
        if kept >= (0.5 if entry.on_edge else MIN_KEPT):
            break
    whole = np.zeros(size, dtype=np.bool_)
    if best is None or not best[1].cells.any():
        inside = np.flatnonzero(allowed)
        whole.flat[int(inside[rng.integers(len(inside))])] = True
        return PlacedMask(whole, None)
    warped, (cells, _, top, left) = best
    whole[top : top + cells.shape[0], left : left + cells.shape[1]] = keep_few_parts(cells, count_parts(entry.cells))
    return PlacedMask(whole, _warp_exemplar(entry, *best))


def _warp_exemplar(entry: BankMask, warped: WarpedMask, found: Paste) -> Exemplar | None:
    """Warp the picture of a mask's defect, if there is one, as the mask was."""
    pixels = None if entry.exemplar is None else warp(entry.exemplar, warped)
    if pixels is None:
        return None
    sharp = max(entry.cells.shape) < STORED_SIDE and SHARP[0] <= warped.scale <= SHARP[1]
    return Exemplar(pixels[found.part], found.top, found.left, sharp=sharp)


def _check_arguments(masks: Sequence[BankMask], size: tuple[int, int], foreground: Bools | None) -> None:
    if not masks:
        msg = "the bank has no mask of this defect; give at least one, or draw a shape"
        raise InputError(msg)
    if foreground is not None and (foreground.shape != tuple(size) or not foreground.any()):
        msg = f"the foreground has shape {foreground.shape} and {int(foreground.sum())} pixels; it must be of shape "
        raise InputError(msg + f"{tuple(size)}, the size of the image, with at least one pixel")
