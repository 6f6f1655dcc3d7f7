# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real data of a benchmark: good images, defects to learn from, and defects to score on that nothing learnt from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.evaluation.few_shot_split import check_files, read_split
from anomalib_stage.evaluation.picture_set import PictureSet, stack
from anomalib_stage.files.good_folder import find_good
from anomalib_stage.files.image_reader import ImageReader
from anomalib_stage.files.images import find_images
from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.training.data.load import load_examples
from anomalib_stage.training.data.mask_warnings import list_mask_warnings
from anomalib_stage.training.data.upright import check_upright

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["BenchmarkData", "load_data"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkData:
    """What is read from a data set's root.

    Args:
        good (list[NDArray[np.uint8]]): Good training images, ``(H, W, 3)`` RGB in their own sizes.
        fit (dict[str, list[Example]]): For each defect, whole images with real defects to learn from.
        test_good (PictureSet): Good test images at the benchmark's size.
        test (dict[str, PictureSet]): For each defect, the defects to score on, at the benchmark's size.
        scored (frozenset[str]): Digests of the pictures with those, as
            :func:`~anomalib_stage.files.pixels.digest_pictures` names them.
        warnings (tuple[str, ...]): What is doubtful about the masks of both sides, in sentences.
    """

    good: list[NDArray[np.uint8]]
    fit: dict[str, list[Example]]
    test_good: PictureSet
    test: dict[str, PictureSet]
    scored: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of everything that is learnt from or scored, wherever it lies."""
        defects = repr([[defect, len(examples)] for defect, examples in sorted(self.fit.items())])
        learnt = [array for _, some in sorted(self.fit.items()) for one in some for array in (one.image, one.mask)]
        tested = [array for _, pictures in sorted(self.test.items()) for array in pictures]
        named = np.frombuffer(defects.encode(), dtype=np.uint8)
        return digest_pictures(named, *self.good, *learnt, self.test_good.images, *tested)


def load_data(root: Path, *, split: Path, size: int, white_level: int | None = None) -> BenchmarkData:
    """Read a data set in MVTec layout with a few-shot split.

    Args:
        root (Path): Folder with ``train/good``, ``test/good``, ``test/<defect>`` and ``ground_truth/<defect>``.
        split (Path): JSON file ``{defect: {"fit": [stems], "eval": [stems]}}``.
        size (int): Side in pixels that test pictures are resized to.
        white_level (int | None): Largest value of a pixel in images deeper than 8 bit; None: found over all images.

    Returns:
        BenchmarkData: Images in sorted order.

    Raises:
        DataError: If a folder or file is missing or cannot be read, or the split uses a picture on both sides.
    """
    stems = read_split(split)
    check_files(root, stems, split_file=split)
    _, good = find_good(root, flag="--data")
    reader = ImageReader([*good, *find_images(root / "test")], white_level=white_level)
    read: list[Example] = []
    fit: dict[str, list[Example]] = {}
    test: dict[str, PictureSet] = {}
    scored: set[str] = set()
    for defect, sides in stems.items():
        chosen = {defect: sides["fit"] | sides["eval"]}
        examples = load_examples(
            root / "test" / defect, root / "ground_truth", include=chosen, rename={}, reader=reader
        )
        read.extend(examples)
        fit[defect] = [example for example in examples if example.name in sides["fit"]]
        kept = [example for example in examples if example.name in sides["eval"]]
        test[defect] = stack([(example.image, example.mask) for example in kept], size=size)
        scored |= {digest_pictures(example.image) for example in kept}
    plain = [reader.read(path) for path in find_images(root / "test" / "good")]
    learnt = reader.read_good(good, root=root, flag="--data")
    reader.say()
    check_upright(read)
    warnings = list_mask_warnings(read)
    for warning in warnings:
        logger.warning("%s", warning)
    return BenchmarkData(
        good=learnt,
        fit=fit,
        test_good=stack([(image, np.zeros(image.shape[:2], dtype=np.bool_)) for image in plain], size=size),
        test=test,
        scored=frozenset(scored),
        warnings=tuple(warnings),
    )
