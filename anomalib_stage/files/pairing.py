# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which mask is of which image, by their names alone.

A mask has the name of its image without the suffix, with or without ``_mask`` behind it: ``017_mask.png`` or
``017.png`` for ``017.jpg``, in any format that is read. Where two images differ in the suffix alone, each mask has the
whole file name: ``017.bmp_mask.png``. Where sub-folders are alike, they decide: the mask that shares the longest tail
of the image's path is its mask.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["MaskNames", "find_masks", "list_names", "natural_key"]

MARK = "_mask"
"""What a mask's name may have behind that of its image."""


def natural_key(name: str) -> tuple[tuple[tuple[str | int, ...], ...], str]:
    """Return what names are sorted by so that numbers in them count as numbers: 1, 2, 10.

    Args:
        name (str): A name or a path with forward slashes; folders are compared first.
    """
    parts = (re.split(r"(\d+)", part) for part in name.split("/"))
    key = tuple(tuple(int(piece) if i % 2 else piece for i, piece in enumerate(pieces)) for pieces in parts)
    return key, name  # 1 and 01 are the same number


def list_names(path: str) -> tuple[str, ...]:
    """Return what the path of an image's mask can be without its suffix, the most telling first."""
    stem = _drop_suffix(path)
    return f"{path}{MARK}", path, f"{stem}{MARK}", stem


def find_masks(folder: Path) -> list[str]:
    """Return every mask below a folder as its path in it, with forward slashes, in the order 1, 2, 10.

    Raises:
        DataError: If there is no such folder, or no mask in it.
    """
    return sorted((path.relative_to(folder).as_posix() for path in find_images(folder)), key=natural_key)


class MaskNames:
    """The masks in a folder, each of which is of one image.

    Args:
        folder (Path): Folder, for messages.
        masks (Iterable[str]): Paths of the masks in it, with forward slashes.
        shortest (int): Folders and file name of an image's path that its mask must share at least: 1 is the file name.
    """

    def __init__(self, folder: Path, masks: Iterable[str], *, shortest: int = 1) -> None:
        self.folder, self.shortest = folder, shortest
        self._by_name: dict[str, list[str]] = {}
        for mask in masks:
            self._by_name.setdefault(_drop_suffix(mask), []).append(mask)
        self._image_of: dict[str, str] = {}

    def match(self, images: Sequence[str]) -> dict[str, str]:
        """Find the masks of images, beside those that were asked for before.

        Args:
            images (Sequence[str]): Paths with forward slashes, each once.

        Returns:
            dict[str, str]: The mask of each image that has one, as its path in the folder.

        Raises:
            DataError: If an image has several masks, or a mask several images; names them, and says what to do.
        """
        return self._match(images, self._by_name, shortest=self.shortest)

    def match_files(self, images: Sequence[str]) -> dict[str, str]:
        """Find the masks of images by their file names alone, in any sub-folder, among those that no image has so far.

        Args:
            images (Sequence[str]): Paths with forward slashes, each once, of images without a mask so far.

        Returns:
            dict[str, str]: As :meth:`match`.

        Raises:
            DataError: As :meth:`match`.
        """
        by_file: dict[str, list[str]] = {}
        for mask in self.list_unused():
            by_file.setdefault(_drop_suffix(mask.rpartition("/")[2]), []).append(mask)
        return self._match(images, by_file, shortest=1)

    def list_unused(self) -> list[str]:
        """Return the masks that no image so far has, in the order 1, 2, 10."""
        every = (mask for masks in self._by_name.values() for mask in masks)
        return sorted((mask for mask in every if mask not in self._image_of), key=natural_key)

    def _match(self, images: Sequence[str], index: Mapping[str, list[str]], *, shortest: int) -> dict[str, str]:
        suffixes: dict[str, set[str]] = {}
        for image in images:
            suffixes.setdefault(_drop_suffix(image), set()).add(_suffix(image))
        found = {}
        for image in images:
            names = (name for tail in _list_tails(image, shortest=shortest) for name in list_names(tail))
            masks = next((index[name] for name in names if name in index), None)
            if masks is not None:
                mask = self._choose(masks, image, others=suffixes[_drop_suffix(image)] - {_suffix(image)})
                self._claim(mask, image)
                found[image] = mask
        return found

    def _choose(self, masks: list[str], image: str, *, others: set[str]) -> str:
        """Choose among masks that differ in the suffix: that of another image of this name is its mask."""
        own = [mask for mask in masks if _suffix(mask) not in others] if len(masks) > 1 else masks
        if len(own) == 1:
            return own[0]
        shown = " and ".join(str(self.folder / mask) for mask in masks[:2])
        msg = f"{image}: {len(masks)} files could be its mask, such as {shown}; remove all but one"
        raise DataError(msg)

    def _claim(self, mask: str, image: str) -> None:
        known = self._image_of.setdefault(mask, image)
        if known == image:
            return
        one, other = (path.rpartition("/")[2] for path in (known, image))
        if _drop_suffix(known) == _drop_suffix(image):
            cure = f"write the whole file name into theirs, {one}{MARK}.png and {other}{MARK}.png"
        else:
            cure = "put the masks into sub-folders like those of the images, so that each has its own"
        msg = f"{self.folder / mask} would be the mask of two images, {known} and {image}; {cure}"
        raise DataError(msg)


def _list_tails(path: str, *, shortest: int) -> Iterator[str]:
    parts = path.split("/")
    for start in range(len(parts) - shortest + 1):
        yield "/".join(parts[start:])


def _drop_suffix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0] or name}"


def _suffix(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()
