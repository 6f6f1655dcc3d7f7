# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real data of a benchmark: good images, defects to learn from, and defects to score on that nothing learnt from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images, read_image
from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.training.data.load import load_examples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["BenchmarkData", "Pictures", "load_data", "resize", "stack"]

SHOWN = 5
"""Missing files that a message names."""


class Pictures(NamedTuple):
    """Pictures of one size with their masks.

    Args:
        images (NDArray[np.uint8]): ``(N, S, S, 3)`` RGB.
        masks (NDArray[np.bool_]): ``(N, S, S)``; empty where the picture is good.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class BenchmarkData:
    """What is read from a data set's root.

    Args:
        good (list[NDArray[np.uint8]]): Good training images, ``(H, W, 3)`` RGB in their own sizes.
        fit (dict[str, list[Example]]): For each defect, whole images with real defects to learn from.
        test_good (Pictures): Good test images at the benchmark's size.
        test (dict[str, Pictures]): For each defect, the defects to score on, at the benchmark's size.
        scored (frozenset[str]): Digests of the pictures with those, as
            :func:`~anomalib_stage.files.pixels.digest_pictures` names them.
    """

    good: list[NDArray[np.uint8]]
    fit: dict[str, list[Example]]
    test_good: Pictures
    test: dict[str, Pictures]
    scored: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Digest of everything that is learnt from or scored, wherever it lies."""
        defects = repr([[defect, len(examples)] for defect, examples in sorted(self.fit.items())])
        learnt = [array for _, some in sorted(self.fit.items()) for one in some for array in (one.image, one.mask)]
        tested = [array for _, pictures in sorted(self.test.items()) for array in pictures]
        named = np.frombuffer(defects.encode(), dtype=np.uint8)
        return digest_pictures(named, *self.good, *learnt, self.test_good.images, *tested)


def load_data(root: Path, *, split: Path, size: int) -> BenchmarkData:
    """Read a data set in MVTec layout with a few-shot split.

    Args:
        root (Path): Folder with ``train/good``, ``test/good``, ``test/<defect>`` and ``ground_truth/<defect>``.
        split (Path): JSON file ``{defect: {"fit": [stems], "eval": [stems]}}``.
        size (int): Side in pixels that test pictures are resized to.

    Returns:
        BenchmarkData: Images in sorted order.

    Raises:
        DataError: If a folder or file is missing or cannot be read, or the split uses a picture on both sides.
    """
    stems = _split(split)
    _check_there(root, stems, split_file=split)
    fit: dict[str, list[Example]] = {}
    test: dict[str, Pictures] = {}
    scored: set[str] = set()
    for defect, sides in stems.items():
        for side, chosen in sides.items():
            examples = load_examples(root / "test" / defect, root / "ground_truth", include={defect: chosen}, rename={})
            if side == "fit":
                fit[defect] = examples
            else:
                test[defect] = stack([(example.image, example.mask) for example in examples], size=size)
                scored |= {digest_pictures(example.image) for example in examples}
    plain = [read_image(path) for path in find_images(root / "test" / "good")]
    return BenchmarkData(
        good=[read_image(path) for path in find_images(root / "train" / "good")],
        fit=fit,
        test_good=stack([(image, np.zeros(image.shape[:2], dtype=np.bool_)) for image in plain], size=size),
        test=test,
        scored=frozenset(scored),
    )


def _check_there(root: Path, split: dict[str, dict[str, set[str]]], *, split_file: Path) -> None:
    """Refuse a root without what the split names, in the words of a benchmark."""
    for folder in (root / "train" / "good", root / "test" / "good", root / "ground_truth"):
        if not folder.is_dir():
            msg = (
                f"{folder}: no such folder; --data needs train/good, test/good, test/<defect> and ground_truth/<defect>"
            )
            raise DataError(msg)
    for defect, sides in split.items():
        folder = root / "test" / defect
        if not folder.is_dir():
            msg = f"{split_file}: defect {defect!r} has no folder {folder}; a split names folders of test"
            raise DataError(msg)
        there = {path.stem for path in find_images(folder)}
        if missing := sorted((sides["fit"] | sides["eval"]) - there):
            shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
            msg = f"{split_file}: {len(missing)} stems of defect {defect!r} are not in {folder}: {shown}; correct it"
            raise DataError(msg)


def _split(path: Path) -> dict[str, dict[str, set[str]]]:
    try:
        content = json.loads(path.read_text())
        split = {defect: {side: set(stems[side]) for side in ("fit", "eval")} for defect, stems in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f'{path}: not a split of the form {{defect: {{"fit": [stems], "eval": [stems]}}}}: {error!r}'
        raise DataError(msg) from error
    for defect, sides in split.items():
        both = sorted(sides["fit"] & sides["eval"])
        if both or not sides["fit"] or not sides["eval"]:
            why = f"{both[0]!r} is in fit and in eval" if both else "fit or eval is empty"
            msg = f"{path}: defect {defect!r}: {why}; every defect needs defects on both sides, and none on both"
            raise DataError(msg)
    return split


def stack(pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]], *, size: int) -> Pictures:
    """Resize pictures and masks to one size and stack them."""
    small = [resize(image, mask, size=size) for image, mask in pairs]
    return Pictures(np.stack([image for image, _ in small]), np.stack([mask for _, mask in small]))


def resize(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], *, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Resize a picture by area and its mask with it.

    A pixel belongs to the mask if half of its area does; where that leaves nothing of a mask, if any of it does: a
    defect does not vanish because the picture is small.
    """
    how = cv2.INTER_AREA if size < max(image.shape[:2]) else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(image, (size, size), interpolation=how), dtype=np.uint8)
    share = cv2.resize(mask.astype(np.float32), (size, size), interpolation=how)
    least = 0.5 if bool((share >= 0.5).any()) else np.finfo(np.float32).tiny
    return small, np.asarray(share >= least, dtype=np.bool_)
