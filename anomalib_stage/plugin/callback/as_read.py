# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the images of a training are what anomalib reads from their files, or were changed on the way."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.plugin.pairs.bank import read_clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torchvision.transforms import v2

__all__ = ["AsRead", "measure_difference"]

logger = logging.getLogger(__name__)

IMAGES = 64
"""First images of a training that are compared with their files: what is done to 1 in 20 is seen 24 times in 25."""

CLOSE = 2.5 / 255
"""A difference of two of the 256 levels of a file is what two decoders or two processors make of one picture."""

FEW = 0.01
"""Share of the values of an image that may differ by more."""

READERS = 4
"""Threads that read files."""


class AsRead:
    """Compares the first images of a training with their files.

    Args:
        like (v2.Resize | None): How images are resized; None: bilinear and smoothed.
    """

    def __init__(self, like: v2.Resize | None) -> None:
        self.like, self._left, self._doubted = like, IMAGES, False

    def check(self, images: Tensor, paths: Sequence[str] | None) -> None:
        """Compare a batch, until enough images have been compared.

        Args:
            images (Tensor): ``(B, 3, H, W)`` in [0, 1].
            paths (Sequence[str] | None): File of each image, if known.

        Raises:
            InputError: Names the first image that is not what its file holds.
        """
        rows = [(images[i], str(paths[i])) for i in range(min(self._left, len(images)))] if paths is not None else []
        self._left -= len(images)
        if paths is None:
            self._doubt("these batches do not name their image files")
        with ThreadPoolExecutor(READERS) as pool:
            for _ in pool.map(lambda row: self.compare(*row), rows):
                pass

    def compare(self, image: Tensor, path: str) -> None:
        """Compare one image ``(3, H, W)`` with its file.

        Raises:
            InputError: If it is not what the file holds.
        """
        share = measure_difference(image, path, like=self.like)
        if share is None:
            self._doubt(f"{path} is no image file that anomalib reads")
        elif share > FEW:
            msg = (
                f"StageAugment: in the batch, {path} is not what anomalib reads from that file at this size "
                f"({share:.0%} of its values differ), so a step changes good images that pairs of the bank would not "
                "take, and which alone would tell them apart. Pass a data module of anomalib with the step in "
                "train_augmentations, where pairs take it too; or train on the pairs with StageFolder; or leave the "
                "bank out"
            )
            raise InputError(msg)

    def _doubt(self, why: str) -> None:
        if not self._doubted:
            logger.warning(
                "StageAugment: whether good images are augmented is not known, as %s; pairs of the bank are not", why
            )
        self._doubted = True


def measure_difference(image: Tensor, path: str, *, like: v2.Resize | None = None) -> float | None:
    """Measure how far an image is from what anomalib reads from its file.

    Args:
        image (Tensor): ``(3, H, W)`` in [0, 1].
        path (str): Its file.
        like (v2.Resize | None): How it was resized; None: bilinear and smoothed.

    Returns:
        float | None: Share of its values, in [0, 1], that differ by more than two of 256 levels; None: there is no such
        file, or none that can be read.
    """
    plain = image.detach().as_subclass(torch.Tensor).cpu().float()
    try:
        read = read_clean(Path(path), size=(plain.shape[-2], plain.shape[-1]), like=like)
    except DataError:
        return None
    return float(((plain - read).abs() > CLOSE).float().mean())
