# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the first painted batch of a run as a picture: clean, mask, synthetic, difference."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from anomalib_stage.plugin.pairs.painting import Painting

__all__ = ["draw_preview", "preview_grid", "write_preview"]

logger = logging.getLogger(__name__)

COLUMNS = ("clean", "mask", "synthetic", "difference x4")
ANOMALY, NEGATIVE = (255, 48, 48), (64, 160, 255)  # RGB outlines
MIN_CELL, GAP, HEADER = 192, 4, 24


def preview_grid(clean: Tensor, painting: Painting, *, rows: int = 4) -> np.ndarray:
    """Draw a grid of one row for each sample, anomalies first, then negatives, then untouched images.

    Anomalies are outlined in red, re-synthesized good surface in blue; outlines lie around the mask, never on it.

    Args:
        clean (Tensor): Images before painting, ``(B, 3, H, W)`` float in [0, 1].
        painting (Painting): The same images after it.
        rows (int): Most rows.

    Returns:
        np.ndarray: RGB picture, uint8, ``(height, width, 3)``.
    """
    rank = (~painting.anomalous).int() + (~painting.anomalous & ~painting.negative).int()
    chosen = torch.argsort(rank.cpu(), stable=True)[:rows].tolist()
    lines = [_row(clean[i], painting, i) for i in chosen]
    return np.concatenate([_header(lines[0].shape[1]), *lines], axis=0)


def write_preview(path: Path, clean: Tensor, *, painting: Painting) -> None:
    """Write :func:`preview_grid` as a PNG file.

    Raises:
        OSError: If the folder cannot be made or the file cannot be written.
    """
    picture = cv2.cvtColor(preview_grid(clean, painting), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".png", picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def draw_preview(path: Path, clean: Tensor, *, painting: Painting) -> None:
    """Write :func:`preview_grid` and say where; a folder that cannot be written costs the picture alone."""
    try:
        write_preview(path, clean, painting=painting)
    except OSError as error:
        logger.warning("StageAugment: no preview, %s cannot be written: %s", path, error)
    else:
        logger.info("StageAugment: first painted batch is drawn in %s", path)


def _row(clean: Tensor, painting: Painting, i: int) -> np.ndarray:
    before, after = _pixels(clean), _pixels(painting.image[i])
    draw_outline = before.copy()
    shown = bool(painting.anomalous[i])
    region = (painting.mask if shown else painting.painted)[i, 0].cpu().numpy().astype(np.uint8)
    scale = -(-MIN_CELL // min(region.shape))
    cells = [_enlarged(cell, scale) for cell in (before, draw_outline, after, _difference(before, after))]
    large = _enlarged(region, scale)
    cells[1][cv2.dilate(large, np.ones((5, 5), np.uint8)) > large] = ANOMALY if shown else NEGATIVE
    return np.concatenate([np.pad(cell, ((0, GAP), (0, GAP), (0, 0))) for cell in cells], axis=1)


def _difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    difference: np.ndarray = np.clip(np.abs(after.astype(np.int16) - before) * 4, 0, 255).astype(np.uint8)
    return difference


def _pixels(image: Tensor) -> np.ndarray:
    plain = image.detach().as_subclass(torch.Tensor).float().clamp(0.0, 1.0)
    pixels: np.ndarray = (plain * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels


def _enlarged(cell: np.ndarray, scale: int) -> np.ndarray:
    return cell.repeat(scale, axis=0).repeat(scale, axis=1)


def _header(width: int) -> np.ndarray:
    strip = np.zeros((HEADER, width, 3), np.uint8)
    for i, name in enumerate(COLUMNS):
        place = (i * width // len(COLUMNS) + 6, HEADER - 8)
        cv2.putText(strip, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1, cv2.LINE_AA)
    return strip
