# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a preview: a good image, what was painted into it, and how visible that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.synthesis.regions import Region, crop, find_region

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.pipeline.synthesizer import StageSynthesizer

__all__ = ["PreviewRow", "paint_rows"]

ZOOM_MARGIN = 8
"""Surface shown around a mask in the closer look, in pixels."""


@dataclass(frozen=True, eq=False)
class PreviewRow:
    """One image before and after painting.

    Args:
        before (NDArray[np.uint8]): ``(H, W, 3)`` RGB.
        after (NDArray[np.uint8]): The same shape; equal to ``before`` outside ``painted``.
        painted (NDArray[np.bool_]): ``(H, W)``, the pixels that could change; empty where the pair was rejected.
        defect (str): Defect, or ``good``.
        seed (int): Seed of the pair.
        visibility (float): Change inside the mask (:class:`~anomalib_stage.pipeline.synthesizer.Pair`); of the last
            try, where the pair was rejected.
        rejected (bool): An anomaly was wanted, and none of the pictures tried was visible enough.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    painted: NDArray[np.bool_]
    defect: str
    seed: int
    visibility: float
    rejected: bool

    @property
    def outcome(self) -> str:
        """What came out: ``anomaly``, ``good`` (intact surface was painted) or ``rejected``."""
        if self.rejected:
            return "rejected"
        return "good" if self.defect == GOOD else "anomaly"

    @property
    def closer(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The region around the mask, before and after; the whole image where there is no mask."""
        height, width = self.painted.shape
        whole = Region(0, 0, height, width)
        region = find_region(self.painted, margin=ZOOM_MARGIN) if self.painted.any() else whole
        return _crop(self.before, region), _crop(self.after, region)


def paint_rows(
    synthesizer: StageSynthesizer,
    images: Sequence[NDArray[np.uint8]],
    *,
    defects: Sequence[str],
    seeds: Sequence[int],
) -> list[PreviewRow]:
    """Paint one anomaly into each image.

    Args:
        synthesizer (StageSynthesizer): Paints.
        images (Sequence[NDArray[np.uint8]]): ``(H, W, 3)`` RGB, any sizes.
        defects (Sequence[str]): Defect for each image.
        seeds (Sequence[int]): Seed for each image.

    Returns:
        list[PreviewRow]: One row for each image.

    Raises:
        InputError: If a defect is unknown or an image cannot be painted.
    """
    return [
        _paint_row(synthesizer, image, defect=defect, seed=seed)
        for image, defect, seed in zip(images, defects, seeds, strict=True)
    ]


def _paint_row(synthesizer: StageSynthesizer, image: NDArray[np.uint8], *, defect: str, seed: int) -> PreviewRow:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
    pair = synthesizer(batch, defects=defect, seeds=[seed])
    return PreviewRow(
        before=image,
        after=(pair.image[0] * 255.0).round().byte().permute(1, 2, 0).contiguous().numpy(),
        painted=pair.painted[0, 0].numpy(),
        defect=defect,
        seed=seed,
        visibility=float(pair.visibility[0]),
        rejected=bool(pair.rejected[0]),
    )


def _crop(pixels: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    cut: NDArray[np.uint8] = crop(torch.from_numpy(pixels).permute(2, 0, 1), region).permute(1, 2, 0).numpy()
    return cut
