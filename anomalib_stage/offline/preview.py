# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage preview``: a picture grid of what a bundle paints into given images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.images import encode_png, find_images, read_image, write_file
from anomalib_stage.seeds import derive_seed
from anomalib_stage.settings import SamplerSettings, SynthesisSettings, checked
from anomalib_stage.sheets import GOOD_COLOUR, RED, difference, enlarged, outlined, sheet
from anomalib_stage.synthesis.regions import crop, region_around
from anomalib_stage.synthesizer import StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["preview", "preview_grid"]

TITLES = ("clean", "mask", "synthetic", "difference x4", "zoom")
CELL = 256


def preview(
    *,
    data: Path,
    out: Path,
    weights: str = "default",
    defects: Sequence[str] | None = None,
    count: int = 8,
    seed: int = 0,
    steps: int = 20,
    device: str = "auto",
    size: int | None = None,
) -> Path:
    """Paint anomalies into some good images and write a PNG grid: clean, mask, synthetic, difference x4, zoom.

    Args:
        data (Path): Folder of good images (searched recursively), or a data set root with ``train/good``.
        out (Path): PNG to write.
        weights (str): ``default`` or a bundle file.
        defects (Sequence[str] | None): Kinds to paint in turn (also ``good``); None: every kind of the bundle in turn.
        count (int): Rows of the grid.
        seed (int): Base seed.
        steps (int): Sampling steps, 4 to 1000.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        size (int | None): Resize images to this side in pixels first; None: as they are.

    Returns:
        Path: The PNG.

    Raises:
        StageError: If an argument, image or bundle cannot be used; the message says which.
    """
    if count < 1 or (size is not None and size < 32):
        msg = f"--count is {count} and --size {size}; count must be at least 1, size at least 32 px"
        raise InputError(msg)
    settings = SynthesisSettings(sampler=checked(SamplerSettings, steps=steps))
    synthesizer = StageSynthesizer.from_pretrained(weights, device=device, settings=settings)
    kinds = list(defects) if defects else list(synthesizer.kinds)
    paths = find_images(data / "train" / "good" if (data / "train" / "good").is_dir() else data)
    # spread over the folder, not its first files
    chosen = [paths[(i * len(paths)) // count % len(paths)] for i in range(count)]
    images = [read_image(path) for path in chosen]
    if size is not None:
        images = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images]
    seeds = [derive_seed(seed, path.name, i) for i, path in enumerate(chosen)]
    grid = preview_grid(synthesizer, images, defects=[kinds[i % len(kinds)] for i in range(count)], seeds=seeds)
    write_file(out, encode_png(grid))
    return out


def preview_grid(
    synthesizer: StageSynthesizer,
    images: Sequence[NDArray[np.uint8]],
    *,
    defects: Sequence[str],
    seeds: Sequence[int],
) -> NDArray[np.uint8]:
    """Paint one anomaly into each image and lay out the rows.

    Args:
        synthesizer (StageSynthesizer): Paints.
        images (Sequence[NDArray[np.uint8]]): ``(H, W, 3)`` RGB, any sizes.
        defects (Sequence[str]): Kind for each image.
        seeds (Sequence[int]): Seed for each image.

    Returns:
        NDArray[np.uint8]: RGB picture, one row for each image.
    """
    rows = [
        _row(synthesizer, image, kind=kind, seed=seed)
        for image, kind, seed in zip(images, defects, seeds, strict=True)
    ]
    return sheet(rows, titles=TITLES)


def _row(
    synthesizer: StageSynthesizer, image: NDArray[np.uint8], *, kind: str, seed: int
) -> list[NDArray[np.uint8]]:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
    pair = synthesizer(batch, defects=kind, seeds=[seed])
    after = (pair.image[0] * 255.0).round().byte()
    touched = pair.painted[0, 0].numpy()
    region = region_around(touched, margin=8)
    zoom = crop(after, region).permute(1, 2, 0).numpy()
    painted = after.permute(1, 2, 0).numpy()
    colour = RED if bool(pair.label[0]) else GOOD_COLOUR
    cells = [_fitted(cell) for cell in (image, painted, difference(image, painted), zoom)]
    large = cv2.resize(touched.astype(np.uint8), cells[0].shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    masked = outlined(cells[0], large, colour=colour)
    cv2.putText(masked, kind, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return [_squared(cell) for cell in (cells[0], masked, cells[1], cells[2], cells[3])]


def _fitted(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale to a longest side of about ``CELL``: small ones by whole factors, large ones by area."""
    longest = max(cell.shape[:2])
    if longest <= CELL:
        return enlarged(cell, max(CELL // longest, 1))
    scale = CELL / longest
    size = (max(round(cell.shape[1] * scale), 1), max(round(cell.shape[0] * scale), 1))
    return np.asarray(cv2.resize(cell, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _squared(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(cell, ((0, CELL - cell.shape[0]), (0, CELL - cell.shape[1]), (0, 0)))
