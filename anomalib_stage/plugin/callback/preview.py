# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the first painted batch of a run as a picture: clean, mask, synthetic, difference."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from anomalib_stage.files.atomic import replace_whole
from anomalib_stage.files.figures import (
    ANOMALY_COLOUR,
    GOOD_COLOUR,
    compute_difference,
    draw_outline,
    enlarge,
    lay_out_rows,
)
from anomalib_stage.files.pixels import encode_png

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from anomalib_stage.pipeline.pair import Pair

__all__ = ["draw_batch", "draw_preview", "write_preview"]

logger = logging.getLogger(__name__)

COLUMNS = ("clean", "mask", "synthetic", "difference x4")
MIN_CELL = 192
"""Least side of a cell in pixels; smaller images are enlarged by a whole factor."""


def draw_batch(clean: Tensor, pair: Pair, *, rows: int = 4) -> np.ndarray:
    """Draw a grid of one row for each sample, anomalies first, then negatives, then untouched images.

    Anomalies are outlined in red, re-synthesized good surface in blue; outlines lie around the mask, never on it.

    Args:
        clean (Tensor): Images before painting, ``(B, 3, H, W)`` float in [0, 1].
        pair (Pair): The same images after it.
        rows (int): Most rows.

    Returns:
        np.ndarray: RGB picture, uint8, ``(height, width, 3)``.
    """
    rank = (~pair.label).int() + (~pair.label & ~pair.negative).int()
    chosen = torch.argsort(rank.cpu(), stable=True)[:rows].tolist()
    return lay_out_rows([_draw_row(clean[i], pair, i) for i in chosen], titles=COLUMNS)


def write_preview(path: Path, clean: Tensor, *, pair: Pair) -> None:
    """Write :func:`draw_batch` as a PNG file.

    Raises:
        OSError: If the folder cannot be made or the file cannot be written.
    """
    with replace_whole(path) as partial:
        partial.write_bytes(encode_png(draw_batch(clean, pair)))


def draw_preview(path: Path, clean: Tensor, *, pair: Pair) -> None:
    """Write :func:`draw_batch` and say where; a folder that cannot be written costs the picture alone."""
    try:
        write_preview(path, clean, pair=pair)
    except OSError as error:
        logger.warning("StageAugment: no preview, %s cannot be written: %s", path, error)
    else:
        logger.info("StageAugment: first painted batch is drawn in %s", path)


def _draw_row(clean: Tensor, pair: Pair, i: int) -> list[np.ndarray]:
    before, after = _read_pixels(clean), _read_pixels(pair.image[i])
    shown = bool(pair.label[i])
    region = (pair.mask if shown else pair.painted)[i, 0].cpu().numpy()
    scale = -(-MIN_CELL // min(region.shape))
    large, *rest = (enlarge(cell, scale) for cell in (before, after, compute_difference(before, after)))
    return [large, draw_outline(large, region, colour=ANOMALY_COLOUR if shown else GOOD_COLOUR), *rest]


def _read_pixels(image: Tensor) -> np.ndarray:
    plain = image.detach().as_subclass(torch.Tensor).float().clamp(0.0, 1.0)
    pixels: np.ndarray = (plain * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels
