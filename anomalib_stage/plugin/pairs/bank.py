# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of pregenerated pairs, read through its manifest. No synthesizer here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import torch
from anomalib.data.utils import read_image, read_mask
from torch import Tensor

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.plugin.pairs.readable_images import check_readable
from anomalib_stage.plugin.pairs.resize import resize_image, resize_mask
from anomalib_stage.pregeneration.output.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torchvision.transforms import v2

__all__ = ["BankPair", "PairBank", "path_tails", "read_clean"]


@dataclass(frozen=True)
class BankPair:
    """One pregenerated pair.

    Args:
        image (Path): Synthetic image.
        mask (Path): Its mask.
        source (str): Good image that it was painted into, relative to the folder of good images.
        defect (str): Defect.
    """

    image: Path
    mask: Path
    source: str
    defect: str


class PairBank:
    """The pairs in a folder that ``anomalib-stage pregenerate`` wrote, in the order of its plan.

    Args:
        folder (Path): The folder.
        pairs (Sequence[BankPair]): Its pairs, at least one.
    """

    def __init__(self, folder: Path, pairs: Sequence[BankPair]) -> None:
        self.folder, self.pairs = folder, list(pairs)
        self._by_source: dict[str, list[BankPair]] = {}
        for pair in self.pairs:
            self._by_source.setdefault(pair.source, []).append(pair)

    @classmethod
    def open(cls, folder: str | Path, *, defects: Sequence[str] | None = None) -> PairBank:
        """Read which pairs there are; places of the plan where nothing visible could be painted are passed over.

        Args:
            folder (str | Path): Folder with a ``manifest.jsonl``, of either layout.
            defects (Sequence[str] | None): Defects to use; None for all.

        Returns:
            PairBank: At least one pair, whose files exist.

        Raises:
            DataError: If the manifest is missing or damaged, names a file that is missing, or names no pair; or if
                anomalib would misread the pictures.
            InputError: If the folder has no pair of one of the defects.
        """
        folder = Path(folder)
        pairs = [
            BankPair(folder / record.image, folder / record.mask, record.source, record.defect)
            for record in read_manifest(folder)
            if record.image is not None and record.mask is not None
        ]
        if not pairs:
            msg = f"{folder}: its manifest names no pair that has files; pregenerate another folder"
            raise DataError(msg)
        found = Counter(pair.defect for pair in pairs)
        unknown = [defect for defect in defects or () if defect not in found]
        if unknown:
            msg = f"{folder} has no pairs of the defect {unknown[0]!r}; it has {', '.join(sorted(found))}"
            raise InputError(msg)
        chosen = [pair for pair in pairs if defects is None or pair.defect in defects]
        _check_files(folder, chosen)
        check_readable(pair.image for pair in chosen)
        return cls(folder, chosen)

    def __len__(self) -> int:
        return len(self.pairs)

    def within(self, paths: Iterable[str]) -> PairBank:
        """Leave out pairs that were painted into other images than these, such as those held out for the test.

        Args:
            paths (Iterable[str]): Files of the good images to train on.

        Returns:
            PairBank: The pairs painted into them; this bank itself if there are none, as it is of other images then.
        """
        known = {self.find_source(path) for path in paths}
        kept = [pair for pair in self.pairs if pair.source in known]
        return PairBank(self.folder, kept) if kept else self

    def find_source(self, path: str) -> str | None:
        """Return the bank's name for a good image file, None if no pair was painted into a file of that name."""
        return next((tail for tail in path_tails(path) if tail in self._by_source), None)

    def list_painted_into(self, source: str | None) -> list[BankPair]:
        """Return the pairs that were painted into a good image; all pairs for None."""
        return self.pairs if source is None else self._by_source[source]

    def read(
        self, pair: BankPair, *, size: tuple[int, int] | None = None, like: v2.Resize | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read a pair and resize it; the mask loses no defect on the way.

        Args:
            pair (BankPair): Which.
            size (tuple[int, int] | None): Height and width wanted; None: as stored.
            like (v2.Resize | None): How the image is resized; None: bilinear and smoothed.

        Returns:
            tuple[Tensor, Tensor]: Image ``(3, H, W)`` float32 in [0, 1] and mask ``(1, H, W)`` bool, not empty.

        Raises:
            DataError: If a file cannot be read, the sizes differ, or the mask is empty.
        """
        image, mask = _read(pair.image, read_image), _read(pair.mask, read_mask).bool()
        stored = (image.shape[-2], image.shape[-1])
        if tuple(mask.shape) != stored or not bool(mask.any()):
            wrong = "is empty" if tuple(mask.shape) == stored else f"is {tuple(mask.shape)} px, its image {stored} px"
            msg = f"{pair.mask}: the mask {wrong}; run the command again that made {self.folder}"
            raise DataError(msg)
        wanted = size or stored
        return resize_image(image, wanted, like=like), resize_mask(mask[None], wanted)


def read_clean(path: Path, *, size: tuple[int, int], like: v2.Resize | None = None) -> Tensor:
    """Read a good image as anomalib does, ``(3, *size)`` float32 in [0, 1].

    Raises:
        DataError: If it cannot be read.
    """
    return resize_image(_read(path, read_image), size, like=like)


def path_tails(path: str) -> Iterator[str]:
    """Yield a path, and what remains of it without its first folders, longest first, with forward slashes."""
    parts = PurePath(path).parts
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _check_files(folder: Path, pairs: Sequence[BankPair]) -> None:
    missing = [path for pair in pairs for path in (pair.image, pair.mask) if not path.is_file()]
    if missing:
        others = f" and {len(missing) - 1} more files of the manifest are" if len(missing) > 1 else " is"
        msg = f"{missing[0]}{others} missing; run the command again that made {folder}"
        raise DataError(msg)


def _read(path: Path, reader: Callable[..., Any]) -> Tensor:
    try:
        pixels: Tensor = reader(path, as_tensor=True).as_subclass(torch.Tensor)
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged files
        msg = f"{path}: not a readable image ({error}); repair it, or pregenerate it again"
        raise DataError(msg) from error
    return pixels
