# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a STAGE bundle paints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.detection.sources.patches import collect
from anomalib_stage.evaluation.picture_set import resize
from anomalib_stage.pipeline.synthesizer import GOOD
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.evaluation.picture_set import PictureSet
    from anomalib_stage.pipeline.synthesizer import StageSynthesizer

__all__ = ["paint_set"]

PAINTED_TOGETHER = 32
OWN_SIZE, SCALE = 3, 2
"""Images of sides up to ``OWN_SIZE`` times the benchmark's are painted as they are; larger ones, and those smaller than
the benchmark's, are resized to ``SCALE`` times it. So thin defects are painted at all."""


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
) -> PictureSet:
    """Paint anomalies, or good surface, into good images of two to three times the benchmark's size; then resize.

    Args:
        synthesizer (StageSynthesizer): Paints.
        data (BenchmarkData): Good images.
        count (int): PictureSet to make; images in which nothing visible could be painted are left out.
        size (int): Side in pixels to resize to.
        seed (int): Seed.
        good (bool): Paint intact surface; the masks are then empty.
        defects (Sequence[str] | None): Defects of anomalies, in turn; None: drawn from all of the bundle's.
        progress (Callable[[int, int], None] | None): Called with pictures made and wanted.

    Returns:
        PictureSet: At most ``count``.

    Raises:
        InputError: If nothing visible could be painted at all.
    """
    made: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]] = []
    for start in range(0, count, PAINTED_TOGETHER):
        part = range(start, min(start + PAINTED_TOGETHER, count))
        clean = [_draw_paintable(data, size=size, rng=numpy_generator(seed, "image", i)) for i in part]
        for group in _group_by_shape(clean):
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
    return collect(made)


def _draw_paintable(data: BenchmarkData, *, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a good image in its own size, or resized if that is much smaller or larger than the benchmark's."""
    image = data.good[int(rng.integers(len(data.good)))]
    if size <= min(image.shape[:2]) and max(image.shape[:2]) <= OWN_SIZE * size:
        return image
    return resize(image, np.zeros(image.shape[:2], dtype=np.bool_), size=SCALE * size)[0]


def _group_by_shape(images: Sequence[NDArray[np.uint8]]) -> list[list[int]]:
    """Positions of images, those of one shape together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(image.shape, []).append(i)
    return list(groups.values())
