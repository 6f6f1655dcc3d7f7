# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where the anomalies of a benchmark come from: the free alternatives, real defects, and STAGE bundles.

Each source makes a pool of pictures once, as a function of the data and a seed; every network of a benchmark then
learns from pools of one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.dataset import Pictures, resize, stack
from anomalib_stage.files.images import find_images
from anomalib_stage.pipeline.synthesizer import GOOD, StageSynthesizer
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.evaluation.dataset import BenchmarkData

    Image = NDArray[np.uint8]

__all__ = ["BUILT_IN", "crop_paste", "cut_paste", "paint_set", "perlin", "real"]

PAINTED_TOGETHER = 32
OWN_SIZE, SCALE = 3, 2
"""Images of sides up to ``OWN_SIZE`` times the benchmark's are painted as they are; larger ones, and those smaller than
the benchmark's, are resized to ``SCALE`` times it. So thin defects are painted at all."""


def cut_paste(data: BenchmarkData, *, count: int, size: int, seed: int) -> Pictures:
    """Patches and scars of good images on other places of good images (CutPaste, arXiv 2104.04015, three-way).

    A patch has 2 to 15 % of the area and an aspect of 0.3 to 3.3, a scar is 2 to 16 wide and 10 to 25 long of 256
    pixels, turned by up to 45 degrees; the brightness of both is jittered by 10 %.

    Args:
        data (BenchmarkData): Good images and defects to learn from.
        count (int): Pictures to make.
        size (int): Side of the pictures in pixels.
        seed (int): A function of it and of the picture's number decides each picture.

    Returns:
        Pictures: ``(count, size, size, 3)`` uint8 RGB with masks ``(count, size, size)`` bool.
    """
    made = []
    for i in range(count):
        rng = numpy_generator(seed, "cutpaste", i)
        target, donor = (_good(data, size=size, rng=rng) for _ in range(2))
        if rng.random() < 0.5:
            area, aspect = rng.uniform(0.02, 0.15) * size * size, np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
            height, width, angle = np.sqrt(area / aspect), np.sqrt(area * aspect), 0.0
        else:
            height, width = rng.uniform(10, 25) * size / 256, rng.uniform(2, 16) * size / 256
            angle = rng.uniform(-45, 45)
        shape = (min(max(round(float(height)), 1), size - 1), min(max(round(float(width)), 1), size - 1))
        top, left = (int(rng.integers(size - side)) for side in shape)
        patch = donor[top : top + shape[0], left : left + shape[1]].astype(np.float32) * rng.uniform(0.9, 1.1)
        made.append(_pasted(target, np.clip(patch, 0, 255).astype(np.uint8), np.ones(shape, bool), angle, rng=rng))
    return _pictures(made)


def crop_paste(data: BenchmarkData, *, count: int, size: int, seed: int) -> Pictures:
    """Real defects cut out along their masks, flipped, turned, and pasted on good images.

    Args:
        data (BenchmarkData): Good images and defects to learn from.
        count (int): Pictures to make.
        size (int): Side of the pictures in pixels.
        seed (int): A function of it and of the picture's number decides each picture.

    Returns:
        Pictures: ``(count, size, size, 3)`` uint8 RGB with masks ``(count, size, size)`` bool.
    """
    defects = sorted(data.fit)
    made = []
    for i in range(count):
        rng = numpy_generator(seed, "croppaste", i)
        examples = data.fit[str(rng.choice(defects))]
        example = examples[int(rng.integers(len(examples)))]
        image, mask = resize(example.image, example.mask, size=size)
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        patch, inside = np.rot90(image[box], turns := int(rng.integers(4))), np.rot90(mask[box], turns)
        if rng.random() < 0.5:
            patch, inside = patch[:, ::-1], inside[:, ::-1]
        made.append(_pasted(_good(data, size=size, rng=rng), patch, inside, 0.0, rng=rng))
    return _pictures(made)


def _pasted(
    target: Image, patch: Image, inside: NDArray[np.bool_], angle: float, *, rng: np.random.Generator
) -> tuple[Image, NDArray[np.bool_]]:
    """Lay a patch somewhere on an image; it may reach over the border after turning."""
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


def real(data: BenchmarkData, *, count: int, size: int, seed: int) -> Pictures:
    """The real defects to learn from, as they are: defects in turn, each as often as the largest has pictures.

    Args:
        data (BenchmarkData): Good images and defects to learn from.
        count (int): Most pictures to give; fewer if there are fewer.
        size (int): Side of the pictures in pixels.
        seed (int): Not used; there is nothing to draw.

    Returns:
        Pictures: ``(N, size, size, 3)`` uint8 RGB with masks ``(N, size, size)`` bool.
    """
    del seed
    pool = [
        data.fit[defect][i % len(data.fit[defect])]
        for i in range(max(len(examples) for examples in data.fit.values()))
        for defect in sorted(data.fit)
    ]
    return stack([(example.image, example.mask) for example in pool[:count]], size=size)


def perlin(data: BenchmarkData, *, count: int, size: int, seed: int, textures: Path | None = None) -> Pictures:
    """Perlin noise filled with textures: anomalib's own ``PerlinAnomalyGenerator`` with its defaults.

    Args:
        data (BenchmarkData): Good images.
        count (int): Pictures to make.
        size (int): Side in pixels, 64 or more: its noise fails below.
        seed (int): Seed.
        textures (Path | None): Folder of texture images, such as DTD; None: it fills with noise colours.

    Returns:
        Pictures: None of the masks is empty.
    """
    from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator

    made: list[tuple[Image, NDArray[np.bool_]]] = []
    with torch.random.fork_rng():  # it draws from torch's global stream
        torch.manual_seed(derive_seed(seed, "perlin"))
        generator = PerlinAnomalyGenerator(probability=1.0)
        generator.anomaly_source_paths = (
            find_images(textures) if textures else []
        )  # its own search leaves the order open
        rng = numpy_generator(seed, "perlin")
        while len(made) < count:
            image = _good(data, size=size, rng=rng)
            painted, mask = generator(torch.from_numpy(image).permute(2, 0, 1).float() / 255.0)
            if bool((mask > 0).any()):
                pixels = (painted.clamp(0, 1) * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
                made.append((pixels, np.asarray(mask[0].cpu().numpy() > 0)))
    return _pictures(made)


BUILT_IN: dict[str, Callable[..., Pictures]] = {
    "cutpaste": cut_paste,
    "croppaste": crop_paste,
    "perlin": perlin,
    "real": real,
}
"""Sources by name; every other name is a bundle."""


def paint_set(
    synthesizer: StageSynthesizer,
    data: BenchmarkData,
    *,
    count: int,
    size: int,
    seed: int,
    good: bool = False,
    defects: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pictures:
    """Paint anomalies, or good surface, into good images of two to three times the benchmark's size; then resize.

    Args:
        synthesizer (StageSynthesizer): Paints.
        data (BenchmarkData): Good images.
        count (int): Pictures to make; images in which nothing visible could be painted are left out.
        size (int): Side in pixels to resize to.
        seed (int): Seed.
        good (bool): Paint intact surface; the masks are then empty.
        defects (Sequence[str] | None): Defects of anomalies, in turn; None: drawn from all of the bundle's.
        progress (Callable[[int, int], None] | None): Called with pictures made and wanted.

    Returns:
        Pictures: At most ``count``.

    Raises:
        InputError: If nothing visible could be painted at all.
    """
    made: list[tuple[Image, NDArray[np.bool_]]] = []
    for start in range(0, count, PAINTED_TOGETHER):
        part = range(start, min(start + PAINTED_TOGETHER, count))
        clean = [_paintable(data, size=size, rng=numpy_generator(seed, "image", i)) for i in part]
        for group in _of_one_shape(clean):
            images = torch.from_numpy(np.stack([clean[i] for i in group])).permute(0, 3, 1, 2).float() / 255.0
            numbers = [part[i] for i in group]
            seeds = [derive_seed(seed, "good" if good else "pool", number) for number in numbers]
            wanted = None if defects is None else [defects[number % len(defects)] for number in numbers]
            pair = synthesizer(images, defects=GOOD if good else wanted, seeds=seeds)
            pixels = (pair.image * 255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            rows = zip(pixels, pair.mask[:, 0].cpu().numpy(), pair.label.tolist(), strict=True)
            made += [resize(picture, mask, size=size) for picture, mask, anomalous in rows if good or anomalous]
        if progress is not None:
            progress(part.stop, count)
    if not made:
        msg = "the bundle painted nothing visible into these images; look at them with 'anomalib-stage preview'"
        raise InputError(msg)
    return _pictures(made)


def _paintable(data: BenchmarkData, *, size: int, rng: np.random.Generator) -> Image:
    """Draw a good image in its own size, or resized if that is much smaller or larger than the benchmark's."""
    image = data.good[int(rng.integers(len(data.good)))]
    if size <= min(image.shape[:2]) and max(image.shape[:2]) <= OWN_SIZE * size:
        return image
    return resize(image, np.zeros(image.shape[:2], dtype=np.bool_), size=SCALE * size)[0]


def _of_one_shape(images: Sequence[Image]) -> list[list[int]]:
    """Positions of images, those of one shape together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(image.shape, []).append(i)
    return list(groups.values())


def _good(data: BenchmarkData, *, size: int, rng: np.random.Generator) -> Image:
    image = data.good[int(rng.integers(len(data.good)))]
    return resize(image, np.zeros(image.shape[:2], dtype=np.bool_), size=size)[0]


def _pictures(made: list[tuple[Image, NDArray[np.bool_]]]) -> Pictures:
    return Pictures(np.stack([image for image, _ in made]), np.stack([mask for _, mask in made]))
