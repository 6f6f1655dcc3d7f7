# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Perlin noise filled with textures, as anomalib has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from anomalib_stage.evaluation.detection.sources.patches import collect, draw_good
from anomalib_stage.files.images import find_images
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.evaluation.picture_set import PictureSet

__all__ = ["paint_perlin"]


def paint_perlin(data: BenchmarkData, *, count: int, size: int, seed: int, textures: Path | None = None) -> PictureSet:
    """Perlin noise filled with textures: anomalib's own ``PerlinAnomalyGenerator`` with its defaults.

    Args:
        data (BenchmarkData): Good images.
        count (int): PictureSet to make.
        size (int): Side in pixels, 64 or more: its noise fails below.
        seed (int): Seed.
        textures (Path | None): Folder of texture images, such as DTD; None: it fills with noise colours.

    Returns:
        PictureSet: None of the masks is empty.
    """
    from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator

    made: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]] = []
    with torch.random.fork_rng():  # it draws from torch's global stream
        torch.manual_seed(derive_seed(seed, "perlin"))
        generator = PerlinAnomalyGenerator(probability=1.0)
        generator.anomaly_source_paths = (
            find_images(textures) if textures else []
        )  # its own search leaves the order open
        rng = numpy_generator(seed, "perlin")
        while len(made) < count:
            image = draw_good(data, size=size, rng=rng)
            painted, mask = generator(torch.from_numpy(image).permute(2, 0, 1).float() / 255.0)
            if bool((mask > 0).any()):
                pixels = (painted.clamp(0, 1) * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
                made.append((pixels, np.asarray(mask[0].cpu().numpy() > 0)))
    return collect(made)
