# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Are tiny masks painted as reliably as large ones? Prints a Markdown table for each folder of good images.

    python docs/measure/tiny_masks.py --data GOOD [GOOD ...] --count 64

Squares of 2 to 32 px are given as masks, at random places on the object of good images, for all defects of the bundle
in turn. A pair counts as painted if it passes the gate. Beside it stands how often the published method loses a square
of that side: it reduces the mask from 256 px to 32 cells and keeps the cells that are at least half covered.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from anomalib_stage import StageSynthesizer
from anomalib_stage.files.good_folder import find_good_folder
from anomalib_stage.files.images import find_images, read_image
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import GateSettings, SynthesisSettings
from anomalib_stage.synthesis.masks.foreground.foreground import estimate_foreground

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDES = (2, 3, 4, 6, 8, 10, 12, 16, 24, 32)
WINDOW = 112
"""Side of the part of an image that is painted: more than a region around the largest square."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, default=64, help="squares of each side")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    default = GateSettings()
    painters = [
        StageSynthesizer.from_pretrained(
            given.weights,
            device=given.device,
            synthesis=SynthesisSettings(gate=default.model_copy(update={"max_tries": tries})),
        )
        for tries in (1, default.max_tries)
    ]
    lost = {side: published_loss(side) for side in SIDES}
    for folder in given.data:
        paths = find_images(find_good_folder(folder))
        chosen = [paths[i * len(paths) // given.count] for i in range(given.count)]
        pictures = {path: read_image(path) for path in chosen}
        objects = {path: estimate_foreground(pixels) for path, pixels in pictures.items()}
        print(f"{folder}: {given.count} squares of each side, bundle {painters[0].bundle.digest[:12]}\n")
        print(f"| side, px | painted at once | painted in {default.max_tries} tries | rejected | published: lost |")
        print("|---|---|---|---|---|")
        for side in SIDES:
            cuts = [
                _cut(pictures[path], objects[path], side, rng=numpy_generator(given.seed, path.name, i, side))
                for i, path in enumerate(chosen)
            ]
            seeds = [derive_seed(given.seed, path.name, i, side) for i, path in enumerate(chosen)]
            once, finally_ = rates(painters, cuts, seeds=seeds, batch_size=given.batch_size)
            plain, smooth = lost[side]
            print(
                f"| {side} | {once:.1%} | {finally_:.1%} | {1 - finally_:.1%} | {plain:.0%} to {smooth:.0%} |",
                flush=True,
            )
        print()


def _cut(
    pixels: np.ndarray, on_object: np.ndarray, side: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a window with a square on the object; returns its pixels ``(112, 112, 3)`` and mask ``(112, 112)``."""
    height, width = on_object.shape
    if min(height, width) < WINDOW:
        scale = WINDOW / min(height, width)
        size = (max(round(width * scale), WINDOW), max(round(height * scale), WINDOW))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        on_object = cv2.resize(on_object.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        height, width = on_object.shape
    # corners of squares that lie on the object whole; anywhere, where it has no room for one
    whole = cv2.boxFilter(on_object.astype(np.float32), -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    corners = np.argwhere(whole[: height - side + 1, : width - side + 1] > 1 - 1e-4)
    top, left = corners[rng.integers(len(corners))] if len(corners) else (height // 2, width // 2)
    first_row = int(np.clip(top + side // 2 - WINDOW // 2, 0, height - WINDOW))
    first_column = int(np.clip(left + side // 2 - WINDOW // 2, 0, width - WINDOW))
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + side, left : left + side] = True
    window = (slice(first_row, first_row + WINDOW), slice(first_column, first_column + WINDOW))
    return pixels[window], mask[window]


def rates(
    painters: Sequence[StageSynthesizer],
    cuts: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    seeds: Sequence[int],
    batch_size: int,
) -> tuple[float, float]:
    """Shares of squares painted with one try, and with all of them; only those that failed are tried again."""
    defects = [painters[0].defects[i % len(painters[0].defects)] for i in range(len(cuts))]
    left = list(range(len(cuts)))
    shares = []
    for painter in painters:
        failed = []
        for start in range(0, len(left), batch_size):
            batch = left[start : start + batch_size]
            pair = painter(
                torch.from_numpy(np.stack([cuts[i][0] for i in batch])).permute(0, 3, 1, 2).float() / 255.0,
                masks=torch.from_numpy(np.stack([cuts[i][1] for i in batch]))[:, None],
                defects=[defects[i] for i in batch],
                seeds=[seeds[i] for i in batch],
            )
            failed += [i for i, rejected in zip(batch, pair.rejected.tolist(), strict=True) if rejected]
        left = failed
        shares.append(1.0 - len(left) / len(cuts))
    return shares[0], shares[1]


def published_loss(side: int) -> tuple[float, float]:
    """Share of a square's 64 places in the 8 x 8 grid where no cell of 32 x 32 is left; without and with smoothing."""
    masks = torch.zeros(64, 1, 256, 256)
    for place in range(64):
        top, left = 96 + place // 8, 96 + place % 8
        masks[place, :, top : top + side, left : left + side] = 1.0
    small = (F.interpolate(masks, (32, 32), mode="bilinear", antialias=smooth) for smooth in (False, True))
    plain, smooth = (float((~(cells >= 0.5).flatten(1).any(dim=1)).float().mean()) for cells in small)
    return plain, smooth


if __name__ == "__main__":
    main()
