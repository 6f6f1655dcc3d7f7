# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Make the pictures of docs/how-to/choose-masks.md: `python docs/images/choose_masks.py`.

Everything is rendered or drawn from fixed seeds; nothing is picked by hand but the objects, which had to stand on an
even ground.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from anomalib_stage import StageSynthesizer
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.figures import ANOMALY_COLOUR, GAP, draw_outline, enlarge, lay_out_rows
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import GateSettings, MaskSettings, SynthesisSettings
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.synthesis.masks.foreground.foreground import estimate_foreground
from anomalib_stage.synthesis.masks.mask_measures import measure_mask
from anomalib_stage.synthesis.masks.placement import draw_with_exemplar
from anomalib_stage.synthesis.masks.shapes.families import SHAPES

HERE = Path(__file__).parent
SIDE = 192
OBJECTS = (16, 27)
EXTENTS = (0.04, 0.08, 0.16, 0.3, 0.5)
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
INK, PAPER = 235, 32


def main() -> None:
    """Write every picture."""
    pictures = {"shapes": shapes(), "foreground": foreground(), "extent": extent(), "bank": bank()}
    for name, picture in (pictures | {"strength": strength()}).items():
        write_file(HERE / f"masks_{name}.png", _small(picture))


def shapes() -> np.ndarray:
    """Three draws of each shape."""
    rows = [
        [_ink(draw_mask(shape, (112, 112), extent=70, rng=numpy_generator(2, shape, i))) for shape in SHAPES]
        for i in range(3)
    ]
    return lay_out_rows(rows, titles=list(SHAPES))


def foreground() -> np.ndarray:
    """Two objects, what is found of them, and thirty masks with and without it."""
    rows = []
    for seed in OBJECTS:
        picture = _surface("object", seed)
        found = estimate_foreground(picture)
        tinted = np.where(found[..., None], picture, picture // 4 + np.array([90, 0, 60], np.uint8))
        cells = [picture, tinted.astype(np.uint8)]
        for allowed in (None, found):
            drawn = np.zeros(found.shape, np.bool_)
            for i in range(30):
                drawn |= draw_mask("blob", found.shape, extent=14, rng=numpy_generator(seed, i), allowed=allowed)
            cells.append(draw_outline(picture, drawn))
        rows.append(cells)
    return lay_out_rows(rows, titles=("image", "object found", "foreground: none", "foreground: auto"))


def extent() -> np.ndarray:
    """The same crack and blob in growing sizes."""
    rows = []
    for shape, family in (("crack", "plain"), ("blob", "leather")):
        picture = _surface(family, 3)
        masks = [draw_mask(shape, (SIDE, SIDE), extent=part * SIDE, rng=numpy_generator(1, shape)) for part in EXTENTS]
        rows.append([draw_outline(picture, mask) for mask in masks])
    return lay_out_rows(rows, titles=[f"extent {part:g}" for part in EXTENTS])


def bank() -> np.ndarray:
    """Masks of chips on the rim of one object, and those drawn from them on another."""
    first, second = (_surface("object", seed) for seed in OBJECTS)
    here, there = estimate_foreground(first), estimate_foreground(second)
    real = [draw_mask("edge_chip", here.shape, extent=34, rng=numpy_generator(5, i), allowed=here) for i in range(4)]
    known = [measure_mask(mask, here) for mask in real]
    drawn = [draw_with_exemplar(known, there.shape, foreground=there, rng=numpy_generator(6, i)).mask for i in range(4)]
    rows = [[draw_outline(first, mask) for mask in real], [draw_outline(second, mask) for mask in drawn]]
    return lay_out_rows(rows, titles=("above: real masks,", "one each;", "below: drawn from them", "on another object"))


def strength() -> np.ndarray:
    """One seed at five strengths, close up."""
    rows = []
    for defect, family in (("hole", "brushed_metal"), ("scratch", "cast"), ("stain", "wood")):
        picture = _surface(family, 11)
        images = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255.0
        cells = []
        for value in STRENGTHS:
            settings = SynthesisSettings(
                strength=(value, value),
                masks=MaskSettings(extent=(0.2, 0.2)),
                gate=GateSettings(min_visibility=0.0),  # all five from the same noise
            )
            synthesizer = StageSynthesizer.from_pretrained("default", device="cpu", synthesis=settings)
            pair = synthesizer(images, defects=defect, seeds=[derive_seed(7, defect)])
            rows_, columns = np.nonzero(pair.mask[0, 0].numpy())
            top, left = (int(np.clip(at.mean() - 40, 0, SIDE - 80)) for at in (rows_, columns))
            pixels = (pair.image[0] * 255.0).round().byte().permute(1, 2, 0).numpy()
            cells.append(enlarge(pixels[top : top + 80, left : left + 80], 2))
        rows.append(cells)
    return lay_out_rows(rows, titles=[f"strength {value:g}" for value in STRENGTHS])


def _surface(family: str, seed: int) -> np.ndarray:
    picture = render_surface((256, 256), rng=numpy_generator(seed, "choose masks"), family=family) * 255 + 0.5
    return np.asarray(cv2.resize(picture.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _ink(mask: np.ndarray) -> np.ndarray:
    return np.repeat(np.where(mask, INK, PAPER).astype(np.uint8)[..., None], 3, axis=2)


def _small(picture: np.ndarray) -> bytes:
    """Encode as PNG, without the gap that a sheet ends with, in steps of 8 grey levels: pictures for a page."""
    coarse = (picture[:-GAP, :-GAP] // 8 * 8 + 4).astype(np.uint8)
    coarse[(picture[:-GAP, :-GAP] == ANOMALY_COLOUR).all(axis=2)] = ANOMALY_COLOUR
    return bytes(cv2.imencode(".png", coarse[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


if __name__ == "__main__":
    main()
