# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Exemplars: pictures of real defects, kept with their masks, that anomalies of fitted defects take their detail from.

A small network learns from a handful of defects where they are light and dark, but not the frayed fibres or the grain
of a broken edge: it paints large bodies as noise. What it cannot make up is recorded. The anomaly-only branch of graded
diffusion (STAGE, arXiv 2509.06693) records a local anomaly while noise is added and hands it back while it is taken
away. Here the detail of a real defect is recorded, warped as its mask is, and handed back into every clean estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from anomalib_stage.synthesis.appearance.appearance import compute_mean_inside, spread
from anomalib_stage.synthesis.regions import mirror_indices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.synthesis.regions import Region

__all__ = ["HANDED_BACK", "Exemplar", "extract_detail", "fill_exemplar", "warp_exemplars"]

HANDED_BACK = 0.8
"""Share of the exemplar in every clean estimate; the rest is the network's own."""


class Exemplar(NamedTuple):
    """Picture of a real defect, ``(h, w, 3)`` uint8 RGB, and the row and column of its corner in the image.

    ``sharp`` says that it is about as large as it was taken, so that it has a camera's grain; ``whole`` that it is all
    that is to be seen, so that a network has nothing to add.
    """

    pixels: NDArray[np.uint8]
    top: int
    left: int
    sharp: bool = True
    whole: bool = False


def fill_exemplar(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Take a defect out of its image: beside the mask every pixel is that of the nearest masked one.

    Args:
        image (NDArray[np.uint8]): ``(h, w, 3)`` RGB.
        mask (NDArray[np.bool_]): ``(h, w)``, not empty.

    Returns:
        NDArray[np.uint8]: ``(h, w, 3)``, nothing of the surface around.
    """
    outside = (~mask).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # labels number the masked pixels in the order of the rows
    nearest = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    nearest[labels[mask]] = np.flatnonzero(mask)
    pixels: NDArray[np.uint8] = image.reshape(-1, 3)[nearest[labels]]
    return pixels


def warp_exemplars(
    exemplars: Sequence[Exemplar | None], regions: Sequence[Region], sizes: Sequence[tuple[int, int]]
) -> Tensor | None:
    """Put pictures of defects into their regions; over the image's border they are mirrored, as images and masks are.

    Args:
        exemplars (Sequence[Exemplar | None]): One for each region, or None.
        regions (Sequence[Region]): Of one size.
        sizes (Sequence[tuple[int, int]]): Height and width of each image.

    Returns:
        Tensor | None: ``(B, 3, h, w)`` float32 in [0, 1], 0 beside the pictures; None if there is none.
    """
    if all(exemplar is None for exemplar in exemplars):
        return None
    canvases = np.zeros((len(regions), regions[0].height, regions[0].width, 3), dtype=np.uint8)
    for canvas, exemplar, region, size in zip(canvases, exemplars, regions, sizes, strict=True):
        if exemplar is None:
            continue
        rows = mirror_indices(region.top, region.height, size[0]).numpy() - exemplar.top
        columns = mirror_indices(region.left, region.width, size[1]).numpy() - exemplar.left
        height, width = exemplar.pixels.shape[:2]
        known = np.ix_((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
        canvas[known] = exemplar.pixels[np.ix_(rows[known[0][:, 0]], columns[known[1][0]])]
    return torch.from_numpy(canvases).permute(0, 3, 1, 2).float().div_(255.0)


def extract_detail(latent: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Split exemplars into their level and their detail.

    Args:
        latent (Tensor): Latents of :func:`warp_exemplars`, ``(B, 3 * cells, h, w)``, all cells of a colour side by
            side.
        mask (Tensor): Where they are anomalous, float in {0, 1}, same shape, not empty.

    Returns:
        tuple[Tensor, Tensor]: The mean of each colour inside the mask, ``(B, 3)``, and what differs from it, in the
        shape of ``latent``, 0 outside the mask.
    """
    level = compute_mean_inside(latent, mask)
    return level, (latent - spread(level, like=latent)) * mask
