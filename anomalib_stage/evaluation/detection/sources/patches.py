# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Good images to paint into, and patches pasted on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.evaluation.picture_set import PictureSet, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.evaluation.dataset import BenchmarkData

__all__ = ["collect", "draw_good", "paste_patch"]


def paste_patch(
    target: NDArray[np.uint8],
    patch: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    angle: float,
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Paste a patch somewhere on an image; it may reach over the border after turning."""
    size = target.shape[0]
    top, left = (int(rng.integers(max(size - side, 0) + 1)) for side in inside.shape)
    layer, mask = np.zeros_like(target), np.zeros((size, size), np.uint8)
    layer[top : top + inside.shape[0], left : left + inside.shape[1]] = patch
    mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    if angle:
        centre = (left + inside.shape[1] / 2, top + inside.shape[0] / 2)
        turn = cv2.getRotationMatrix2D(centre, angle, 1.0)
        layer = np.asarray(cv2.warpAffine(layer, turn, (size, size), flags=cv2.INTER_NEAREST), np.uint8)
        mask = np.asarray(cv2.warpAffine(mask, turn, (size, size), flags=cv2.INTER_NEAREST), np.uint8)
    where = mask > 0
    return np.where(where[..., None], layer, target), where


def draw_good(data: BenchmarkData, *, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a good image at the benchmark's size."""
    image = data.good[int(rng.integers(len(data.good)))]
    return resize(image, np.zeros(image.shape[:2], dtype=np.bool_), size=size)[0]


def collect(made: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]) -> PictureSet:
    """Put images of one size and their masks together."""
    return PictureSet(np.stack([image for image, _ in made]), np.stack([mask for _, mask in made]))
