# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps a training from image files that anomalib misreads: those of its data module, or of its batches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from anomalib_stage.files.decoding import is_deep_file
from anomalib_stage.plugin.callback.as_read import FEW, measure_difference
from anomalib_stage.plugin.pairs.readable_images import check_data_module, check_readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch import Trainer
    from torch import Tensor

__all__ = ["FileGuard"]

FLAT = 2 / 255
"""Contrast of an image that is white all over, or was and has been augmented."""


class FileGuard:
    """Refuses files that anomalib misreads.

    Where anomalib's own data sets read the files, training and validation alike, all of them are looked at here.
    Otherwise each batch is: a reader of one's own may read such files rightly, so the image in the batch decides.

    Args:
        trainer (Trainer): Knows the data module, if there is one.

    Raises:
        DataError: Names the first file that is misread, why, and what to do.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._watches = not check_data_module(getattr(trainer, "datamodule", None))
        self._known = set[str]()

    def check(self, images: Tensor, paths: Sequence[str] | None) -> None:
        """Look at the files of a batch, each once in a training.

        Args:
            images (Tensor): ``(B, 3, H, W)`` in [0, 1].
            paths (Sequence[str] | None): File of each image, if known.

        Raises:
            DataError: Names the first file that was misread.
        """
        if not self._watches or paths is None:
            return
        for image, path in zip(images, map(str, paths), strict=True):
            if path not in self._known and is_deep_file(Path(path)) and _is_misread(image, path):
                check_readable([path])
            self._known.add(path)


def _is_misread(image: Tensor, path: str) -> bool:
    """Say whether an image is what anomalib makes of a file of more than 8 bits, or has nothing on it at all."""
    difference = measure_difference(image, path)
    plain = image.as_subclass(torch.Tensor)
    return bool(plain.max() - plain.min() <= FLAT) or (difference is not None and difference <= FEW)
