# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of one size with their masks, in arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PictureSet", "resize", "stack"]


class PictureSet(NamedTuple):
    """PictureSet of one size with their masks.

    Args:
        images (NDArray[np.uint8]): ``(N, S, S, 3)`` RGB.
        masks (NDArray[np.bool_]): ``(N, S, S)``; empty where the picture is good.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def stack(pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]], *, size: int) -> PictureSet:
    """Resize pictures and masks to one size and stack them."""
    small = [resize(image, mask, size=size) for image, mask in pairs]
    return PictureSet(np.stack([image for image, _ in small]), np.stack([mask for _, mask in small]))


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
