# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the images of one set in one range, and says once what was noticed about them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from anomalib_stage.files.decoding import UPRIGHT
from anomalib_stage.files.good_folder import check_no_masks, is_two_valued
from anomalib_stage.files.images import load_image
from anomalib_stage.files.white_level import find_white_level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageReader", "say_turned"]

logger = logging.getLogger(__name__)


class ImageReader:
    """Reads images of one set as 8-bit RGB.

    Args:
        paths (Sequence[Path]): Every image of the set, good and defective: they have one range.
        white_level (int | None): Value of white in images with more than 8 bit; None: found over the set.

    Raises:
        InputError: If the white level is out of range.
        DataError: If a pixel is above it.

    Attributes:
        white_level (int | None): Value of white; None if no image has more than 8 bit.
        orientations (dict[Path, int]): EXIF orientation of each image that was read.
    """

    def __init__(self, paths: Sequence[Path], *, white_level: int | None = None) -> None:
        self.white_level = find_white_level(paths, given=white_level)
        self.orientations: dict[Path, int] = {}

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read an image of the set, ``(H, W, 3)`` RGB.

        Raises:
            DataError: If it cannot be read.
        """
        pixels, _, self.orientations[path] = load_image(path, white_level=self.white_level)
        return pixels

    def read_good(self, paths: Sequence[Path], *, root: Path, flag: str) -> list[NDArray[np.uint8]]:
        """Read a folder of good images.

        Args:
            paths (Sequence[Path]): Images of the set.
            root (Path): Their folder.
            flag (str): Its option, for messages.

        Returns:
            list[NDArray[np.uint8]]: ``(H, W, 3)`` RGB each.

        Raises:
            DataError: If one cannot be read, or some of them are masks.
        """
        images = [self.read(path) for path in paths]
        masks = {path for path, image in zip(paths, images, strict=True) if is_two_valued(image)}
        check_no_masks(sorted(masks), count=len(set(paths)), root=root, flag=flag)
        return images

    def say(self) -> None:
        """Say what was noticed about the images that were read."""
        turned = [path for path, orientation in self.orientations.items() if orientation != UPRIGHT]
        say_turned(turned, count=len(self.orientations))


def say_turned(turned: Sequence[Path], *, count: int) -> None:
    """Warn of images with an EXIF orientation: viewers turn them, anomalib does not.

    Args:
        turned (Sequence[Path]): Such images; nothing is said if there are none.
        count (int): Images that were looked at.
    """
    if turned:
        logger.warning(
            "%d of %d images have an EXIF orientation tag, such as %s: they are taken as stored and not turned, as "
            "anomalib takes them; masks must lie on them as stored",
            len(turned),
            count,
            turned[0],
        )
