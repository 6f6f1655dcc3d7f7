# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of masks that say where the objects are: each image has its own, found by name and of the image's size.

Importing this module loads neither OpenCV nor Pillow: anomalib's command line builds the callback for all sub-commands.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.files.pairing import MaskNames

__all__ = ["ForegroundFolder"]


logger = logging.getLogger(__name__)

BORDER, MIDDLE = 0.9, 0.5
"""A mask with more of the border and less of the middle marked than this looks inverted."""


class ForegroundFolder:
    """Masks of the objects, named like their images (:mod:`anomalib_stage.files.pairing`).

    Args:
        folder (Path): The folder.

    Raises:
        DataError: If it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        from anomalib_stage.files.pairing import MaskNames, find_masks

        self.folder = folder
        self._names: MaskNames = MaskNames(folder, find_masks(folder))
        self._files: dict[str, Path] = {}
        self._doubts: set[str] = set()

    def learn(self, paths: Iterable[str]) -> None:
        """Find the masks of images, and compare their sizes with those of the image files.

        Args:
            paths (Iterable[str]): Files of images.

        Raises:
            DataError: If an image has no mask or several, two images have one mask, or a mask has not the size of its
                image; names the files.
        """
        new = {Path(path).as_posix(): path for path in dict.fromkeys(paths) if path not in self._files}
        found = self._names.match(list(new))
        missing = [path for name, path in new.items() if name not in found]
        if missing:
            others = f" and {len(missing) - 1} more of {len(new)} images" if len(missing) > 1 else ""
            msg = (
                f"{self.folder} has no foreground for {missing[0]}{others}; add {Path(missing[0]).stem}.png, or use "
                "foreground='auto'"
            )
            raise DataError(msg)
        for name, mask in found.items():
            file = self.folder / mask
            _check_file(file, image=Path(new[name]))
            self._files[new[name]] = file

    def read(self, paths: Sequence[str], *, size: tuple[int, int]) -> list[Tensor]:
        """Read the masks of a batch.

        Args:
            paths (Sequence[str]): File of each image.
            size (tuple[int, int]): Height and width of the images in the batch, which the masks are resized to.

        Returns:
            list[Tensor]: ``size`` bool each, not empty.

        Raises:
            DataError: If a mask cannot be read or is empty, or as :meth:`learn`.
        """
        from anomalib_stage.files.masks import load_mask

        self.learn(paths)
        marked = {path: load_mask(self._files[path]).pixels for path in paths}
        self._say_doubts(marked)
        return [_resize(marked[path], size) for path in paths]

    def _say_doubts(self, marked: Mapping[str, NDArray[np.bool_]]) -> None:
        """Warn once of a mask over the whole image, and of one that looks inverted."""
        doubts = {"marks the whole image": _is_full, "marks the border and not the middle": _is_inverted}
        for doubt, holds in doubts.items():
            file = next((self._files[path] for path, mask in marked.items() if holds(mask)), None)
            if file is not None and doubt not in self._doubts:
                self._doubts.add(doubt)
                logger.warning("StageAugment: the foreground %s %s; white must be where defects may lie", file, doubt)


def _check_file(mask: Path, *, image: Path) -> None:
    """Refuse a mask that is the image itself, or has another size; a path that is no file says nothing about a size."""
    if not image.is_file():
        return
    if mask.samefile(image):
        msg = f"{mask} is the image itself, not a mask of it; give a folder of masks alone, or use foreground='auto'"
        raise DataError(msg)
    sizes = _read_size(mask), _read_size(image)
    if sizes[0] != sizes[1]:
        from anomalib_stage.files.masks import explain_turn

        (wide, high), (wanted_wide, wanted_high) = sizes
        cure = explain_turn(image, *sizes) or "draw it at the size of the image file"
        msg = f"{mask}: the foreground is {wide}x{high} px, its image {image} is {wanted_wide}x{wanted_high} px; {cure}"
        raise DataError(msg)


def _read_size(path: Path) -> tuple[int, int]:
    """Return width and height as the file's header has them; an orientation tag turns nothing, as in anomalib."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged files
        msg = f"{path}: not a readable image; repair or replace it"
        raise DataError(msg) from error


def _is_full(marked: NDArray[np.bool_]) -> bool:
    return bool(marked.all())


def _is_inverted(marked: NDArray[np.bool_]) -> bool:
    """Tell whether nearly all of the border is marked and less of the image: objects seldom reach every side."""
    high, wide = marked.shape
    inner = marked[high // 4 : -(high // 4) or None, wide // 4 : -(wide // 4) or None]
    border = sum(int(side.sum()) for side in (marked[0], marked[-1], marked[:, 0], marked[:, -1]))
    return bool(border > BORDER * 2 * (high + wide) and inner.mean() < MIDDLE)


def _resize(marked: NDArray[np.bool_], size: tuple[int, int]) -> Tensor:
    import torch
    from torch.nn import functional

    from anomalib_stage.plugin.pairs.resize import resize_mask

    whole = torch.from_numpy(marked)
    nearest = functional.interpolate(whole[None, None].float(), size=size, mode="nearest")[0, 0] > 0
    return nearest if bool(nearest.any()) else resize_mask(whole, size)  # the object falls between the samples
