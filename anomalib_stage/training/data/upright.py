# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Masks that were drawn in a viewer that obeys the EXIF orientation, on pictures that are taken as stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["check_upright", "turn_upright"]

FEWEST = 3
"""So many pictures must agree; one alone proves nothing."""

BETTER = 0.4
"""By how much outlines must lie on stronger gradients in the turned picture, in deviations of its gradient."""

SURE = 4.0
"""The same in standard errors of the mean."""


def check_upright(examples: Sequence[Example]) -> None:
    """Refuse masks that clearly fit the pictures as viewers turn them, and not as they are stored.

    Masks of another size are refused when they are read; this finds those of square and of mirrored pictures. The
    outline of each mask is laid over the picture's gradient, as stored and turned.

    Args:
        examples (Sequence[Example]): Whole images with masks and orientations.

    Raises:
        DataError: Names a picture, says what EXIF has to do with it and what to do.
    """
    turned = [example for example in examples if example.orientation != 1]
    gains = []
    for example in turned:
        picture = turn_upright(example.image, example.orientation)
        if picture.shape == example.image.shape:
            gains.append(_measure_fit(picture, example.mask) - _measure_fit(example.image, example.mask))
    if len(gains) < FEWEST:
        return
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    if mean >= BETTER and mean >= SURE * error:
        first = turned[0]
        msg = (
            f"{first.defect}/{first.name} and {len(turned) - 1} more pictures have an EXIF orientation tag, and their "
            "masks fit the picture as viewers turn it; anomalib does not turn it. Save the pictures turned and without "
            "the tag (PIL.ImageOps.exif_transpose, or 'mogrify -auto-orient'), or turn the masks"
        )
        raise DataError(msg)


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a picture as a viewer shows it that obeys the EXIF orientation.

    Args:
        pixels (NDArray[Any]): ``(H, W)`` or ``(H, W, C)``, as stored.
        orientation (int): EXIF orientation, 1 to 8 (https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf, 4.6.4).

    Returns:
        NDArray[Any]: Height and width exchanged from orientation 5 on.
    """
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if orientation >= 5 else pixels)


def _measure_fit(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Mean gradient on the outline of a mask, in deviations from the mean of the picture."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    gradient = np.sqrt(np.hypot(cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)))
    outline = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    deviation = float(gradient.std())
    return float((gradient[outline].mean() - gradient.mean()) / deviation) if outline.any() and deviation > 0 else 0.0
