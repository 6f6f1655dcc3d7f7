# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of one size around anomalies: what a network sees of a crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from anomalib_stage.metrics.log_ratios import FLOOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

__all__ = ["cut_window", "turn_windows"]


WINDOW = 48
"""Side in pixels of the windows that the network sees."""

LARGEST = 5.0


def cut_window(crop: Crop) -> Tensor:
    """Return what the network sees: grey levels and grain in units of the surface around, and where the mask is."""
    pixels = crop.pixels.astype(np.float32)
    grey = pixels.mean(axis=2)
    grain = pixels - cv2.blur(pixels, (3, 3), borderType=cv2.BORDER_REFLECT)
    surface, noise = grey[crop.around], grain[crop.around]
    planes = np.concatenate(
        [
            ((grey - surface.mean()) / (surface.std() + FLOOR))[..., None],
            grain / (np.sqrt(np.square(noise).mean()) + FLOOR),
            np.stack([crop.mask, crop.around], axis=2),
        ],
        axis=2,
    )
    row, col = _find_centre(crop.mask)
    half = WINDOW // 2
    padded = np.pad(np.clip(planes, -LARGEST, LARGEST), ((half, half), (half, half), (0, 0)))
    window = padded[row : row + WINDOW, col : col + WINDOW]
    return torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1), dtype=np.float32))


def _find_centre(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Centre of a mask that fits into a window; of another one, the place on its edge that is nearest to the centre."""
    rows, cols = np.nonzero(mask)
    middle = np.array([(at.min() + at.max() + 1) // 2 for at in (rows, cols)])
    if max(np.ptp(rows), np.ptp(cols)) >= WINDOW - 8:
        edge = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        at = np.argwhere(edge)
        middle = at[np.square(at - middle).sum(axis=1).argmin()]
    return int(middle[0]), int(middle[1])


def turn_windows(windows: Tensor, turn: int) -> Tensor:
    """Flip and turn windows ``(B, C, S, S)`` by quarters: number ``turn`` of eight ways."""
    turned = torch.rot90(windows, turn % 4, dims=(2, 3))
    turned = turned.flip(3) if turn >= 4 else turned
    return turned.contiguous(memory_format=torch.channels_last)
