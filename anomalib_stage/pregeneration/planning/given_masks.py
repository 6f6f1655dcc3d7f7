# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The masks that a user gives: each image has its own, by name; where no name matches, they are used in turn."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.pairing import MaskNames, list_names, natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["GivenMasks", "match_given_masks", "plan_given_masks"]

logger = logging.getLogger(__name__)

SHOWN = 3
"""Masks that the message about their order names."""


@dataclass(frozen=True)
class GivenMasks:
    """What the masks of a folder are used for.

    Args:
        in_turn (list[str]): Masks to use in turn, as paths in their folder; where names match, one for each image that
            is painted, in the order of the images.
        listed (list[str]): Masks that the job's description digests, so that another order or choice is another job.
    """

    in_turn: list[str]
    listed: list[str]


def plan_given_masks(
    folder: Path, masks: Iterable[str], *, images: Sequence[str], painted: Sequence[str], count: int
) -> GivenMasks:
    """Decide which mask goes to which image, and say it.

    Args:
        folder (Path): Folder of the masks, for messages.
        masks (Iterable[str]): Paths in it, with forward slashes.
        images (Sequence[str]): All good images, as paths in their folder.
        painted (Sequence[str]): Those that are painted, in the order of the plan.
        count (int): Pairs in the plan.

    Returns:
        GivenMasks: The decision.

    Raises:
        DataError: If names match in part, or a name could mean two images or masks; names the first.
    """
    masks = sorted(masks, key=natural_key)
    mask_of = match_given_masks(folder, masks, images=images)
    if not mask_of:
        shown = ", ".join(masks[:SHOWN]) + (", ..." if len(masks) > SHOWN else "")
        logger.info("--masks: none of %d masks has the name of an image; used in turn: %s", len(masks), shown)
        return GivenMasks(masks, masks)
    _check_complete(folder, masks, mask_of, painted=painted)
    used = [mask_of[image] for image in painted]
    spare = [mask_of[image] for image in images if image in mask_of and image not in set(painted)]
    # in the order of the images, as version 0.1.0 listed them: what it began goes on where the masks are the same
    return GivenMasks(used, [*used, *spare] if count <= len(used) else used)


def match_given_masks(folder: Path, masks: Sequence[str], *, images: Sequence[str]) -> dict[str, str]:
    """Find the mask of each image that has one: by its path, else by its file name, wherever the mask lies.

    Args:
        folder (Path): Folder of the masks, for messages.
        masks (Sequence[str]): Paths in it, with forward slashes.
        images (Sequence[str]): Good images, as paths in their folder.

    Returns:
        dict[str, str]: Masks by image.

    Raises:
        DataError: If a name could mean two images or two masks.
    """
    names = MaskNames(folder, masks)
    mask_of = names.match(images)
    return mask_of | names.match_files([image for image in images if image not in mask_of])


def _check_complete(folder: Path, masks: Sequence[str], mask_of: dict[str, str], *, painted: Sequence[str]) -> None:
    missing = [image for image in painted if image not in mask_of]
    taken = set(mask_of.values())
    unused = [mask for mask in masks if mask not in taken]
    if not missing and not unused:
        return
    first = (
        f"the image {missing[0]} has no mask ({list_names(missing[0])[3]}.png or {list_names(missing[0])[2]}.png)"
        if missing
        else f"the mask {unused[0]} is of no image"
    )
    msg = (
        f"--masks {folder}: {len(mask_of)} masks have the names of images, and {first}; in all {len(missing)} of "
        f"{len(painted)} images to paint have none, and {len(unused)} of {len(masks)} masks are of no image. Give each "
        "image a mask of its name and remove the others, or, to use masks in turn, give them names of no image"
    )
    raise DataError(msg)
