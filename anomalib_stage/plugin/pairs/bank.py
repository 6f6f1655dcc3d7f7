# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of pregenerated pairs, read through its manifest. No synthesizer here."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from anomalib.data.utils import read_image, read_mask
from torch import Tensor

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.plugin.pairs.readable_images import check_readable
from anomalib_stage.plugin.pairs.resize import resize_image, resize_mask
from anomalib_stage.plugin.pairs.source_files import SourceFiles
from anomalib_stage.pregeneration.output.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torchvision.transforms import v2

    from anomalib_stage.plugin.pairs.source_files import SourceChoice

__all__ = ["BankPair", "PairBank", "read_clean"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BankPair:
    """One pregenerated pair.

    Args:
        image (Path): Synthetic image.
        mask (Path): Its mask.
        source (str): Good image that it was painted into, relative to the folder of good images.
        defect (str): Defect.
        source_digest (str | None): SHA-256 of that good image, None where it was not noted.
    """

    image: Path
    mask: Path
    source: str
    defect: str
    source_digest: str | None = None


class PairBank:
    """The pairs in a folder that ``anomalib-stage pregenerate`` wrote, in the order of its plan.

    Args:
        folder (Path): The folder.
        pairs (Sequence[BankPair]): Its pairs, at least one.
        files (SourceFiles | None): Recognises their good images; None: nothing is known yet.

    Attributes:
        ambiguous (tuple[str, ...]): Two training images that could both be the good image of a pair; empty as a rule.
    """

    def __init__(self, folder: Path, pairs: Sequence[BankPair], *, files: SourceFiles | None = None) -> None:
        self.folder, self.pairs = folder, list(pairs)
        self.ambiguous: tuple[str, ...] = ()
        self._files = files or SourceFiles({pair.source: pair.source_digest for pair in self.pairs})
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
            BankPair(folder / record.image, folder / record.mask, record.source, record.defect, record.source_sha256)
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

    def within(self, paths: Iterable[str], *, held_back: Iterable[str] = ()) -> PairBank:
        """Leave out pairs that were painted into other images than these, such as those held back for the test.

        An image is recognised by its content and the tail of its path
        (:class:`~anomalib_stage.plugin.pairs.source_files.SourceFiles`); doubts are said.

        Args:
            paths (Iterable[str]): Files of the good images to train on.
            held_back (Iterable[str]): Files kept for validation and test: no pair was painted into one of those left.

        Returns:
            PairBank: The pairs painted into the images to train on; if there are none, as the bank is of other images
            then, all that were not painted into an image that is held back.

        Raises:
            InputError: If every pair was painted into an image that is held back.
        """
        paths = list(paths)
        choice = self._files.choose(paths, held_back)
        kept = [pair for pair in self.pairs if pair.source in choice.kept]
        if not kept:
            msg = (
                f"{self.folder}: all {len(self)} pairs were painted into images that are held back for validation or "
                "test; pregenerate from the images that train, or give other splits"
            )
            raise InputError(msg)
        if paths:
            _say_doubts(self.folder, choice, trained=len(paths))
        bank = PairBank(self.folder, kept, files=self._files)
        bank.ambiguous = choice.ambiguous
        return bank

    def check_unambiguous(self) -> None:
        """Refuse a bank where it is not certain which training image a pair was painted into.

        Raises:
            InputError: Names two images that could be it.
        """
        if self.ambiguous:
            msg = (
                f"the manifest of {self.folder} has no digests of the good images, and {self.ambiguous[0]} and "
                f"{self.ambiguous[1]} could both be the clean original of a pair, which this model needs; pregenerate "
                "again"
            )
            raise InputError(msg)

    def find_source(self, path: str) -> str | None:
        """Return the bank's name for a good image file, None if no pair was painted into it."""
        name = self._files.find(path)
        return name if name in self._by_source else None

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


def _say_doubts(folder: Path, choice: SourceChoice, *, trained: int) -> None:
    """Warn where images were not recognised beyond doubt."""
    again = "pregenerate from the images that train to be sure"
    if choice.changed:
        how = (
            "the images are taken for those by their names, and pairs left out whose name a held-back image of the "
            "same folder has"
            if choice.by_name
            else "they count as other images, and pairs painted into the ones of those names are left out"
        )
        logger.warning(
            "%s: %d of %d images that train, such as %s, have the name of a good image of the bank and another "
            "content: %s; %s",
            *(folder, len(choice.changed), trained, choice.changed[0], how, again),
        )
    elif not choice.known:
        logger.warning("%s: no pair was painted into an image that trains here; those not held back are used", folder)
    if choice.ambiguous:
        logger.warning("%s: %s and %s could be the same good image of the bank; %s", folder, *choice.ambiguous, again)


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
