# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Lay real defects and painted ones of each defect one above the other, in random order, none left out.

    python docs/images/real_beside_painted.py --data SET --weights FILE --out SHEET.png

Upper pair of rows: real defects that were learnt from, and their masks; lower pair: painted ones, and theirs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from anomalib_stage import StageSynthesizer
from anomalib_stage.evaluation.dataset import load_data
from anomalib_stage.files.atomic import write_file
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE, LEAST = 80, 64
"""Side of a cell of the sheet, and least side in pixels of what it shows."""


def main() -> None:
    """Paint and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    data = load_data(given.data, split=given.data / "few_shot.json", size=128)
    synthesizer = StageSynthesizer.from_pretrained(given.weights, device=given.device)
    rows = []
    for defect, examples in data.fit.items():
        rng = numpy_generator(given.seed, defect)
        shown = [examples[i] for i in rng.permutation(len(examples))[: given.columns]]
        real = [cell(example.image, example.mask) for example in shown]
        painted = []
        for i in range(given.columns):
            image = data.good[int(rng.integers(len(data.good)))]
            clean = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
            pair = synthesizer(clean, defects=defect, seeds=[derive_seed(given.seed, defect, i)])
            pixels = (pair.image[0] * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
            painted.append(cell(pixels, pair.mask[0, 0].cpu().numpy()) if pair.label[0] else np.zeros_like(real[0]))
        real += [np.zeros_like(real[0])] * (given.columns - len(real))
        rows += [np.hstack(real), np.hstack(painted), np.full((4, SIDE * given.columns, 3), (0, 160, 0), np.uint8)]
    write_file(given.out, cv2.imencode(".png", np.vstack(rows)[..., ::-1])[1].tobytes())


def cell(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Cut out a defect, and below it the same with the outline of its mask."""
    points = np.argwhere(mask)
    row, column = points.mean(axis=0).astype(int)
    half = max(int(np.ptp(points, axis=0).max() * 0.6), LEAST // 2)
    wide = np.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")[row : row + 2 * half, column:][
        :, : 2 * half
    ]
    inside = np.pad(mask, half)[row : row + 2 * half, column : column + 2 * half].astype(np.uint8)
    small = cv2.resize(wide, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    where = cv2.resize(inside, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    outline = (cv2.dilate(where, np.ones((3, 3), np.uint8)) > 0) & (where == 0)
    return np.vstack([small, np.where(outline[..., None], np.array([255, 0, 0], np.uint8), small)])


if __name__ == "__main__":
    main()
