# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The pairs that come out, and the batch while it is painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from anomalib_stage.pipeline.mask_drawer import GOOD
from anomalib_stage.synthesis.blend.composite import composite
from anomalib_stage.synthesis.regions import overlap

if TYPE_CHECKING:
    from torch import Tensor

    from anomalib_stage.pipeline.region_painter import Patch

__all__ = ["Pair", "Work"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Synthetic images with their pixel-exact labels.

    Args:
        image (Tensor): ``(B, 3, H, W)``, dtype and device of the input, [0, 1]; equal to the input outside ``painted``.
        mask (Tensor): ``(B, 1, H, W)`` bool, the anomaly; all False for the defect ``good``.
        label (Tensor): ``(B,)`` bool, True where the mask has a pixel.
        defect (list[str]): Kind of each sample.
        seed (list[int]): Seed of each sample; with the bundle, image and defect it makes the pair again.
        painted (Tensor): ``(B, 1, H, W)`` bool, the pixels the synthesizer was allowed to change.
        visibility (Tensor): ``(B,)`` float, change inside the mask in units of what good surface painted over good
            surface would change (:func:`~anomalib_stage.synthesis.blend.visibility.measure_visibility`).
        rejected (Tensor): ``(B,)`` bool, an anomaly was wanted, and none of the pictures tried was visible enough: the
            image is the input, the mask empty, the label False.
    """

    image: Tensor
    mask: Tensor
    label: Tensor
    defect: list[str]
    seed: list[int]
    painted: Tensor
    visibility: Tensor
    rejected: Tensor


@dataclass(frozen=True, eq=False)
class Work:
    """A batch while it is painted."""

    image: Tensor
    mask: Tensor
    touched: Tensor
    defects: list[str]
    seeds: list[int]
    visibility: list[float]
    label: list[bool]

    @classmethod
    def on(cls, images: Tensor, *, defects: list[str], seeds: list[int]) -> Work:
        """Start with the images as they are."""
        plain = images.as_subclass(torch.Tensor).clone()
        mask, touched = (torch.zeros_like(plain[:, :1], dtype=torch.bool) for _ in range(2))
        return cls(plain, mask, touched, defects, seeds, [0.0] * len(defects), [False] * len(defects))

    def take(self, i: int, patch: Patch, inside: Tensor) -> None:
        """Put a picture into its image: the pixels ``inside`` its region, ``(1, height, width)`` bool on the CPU."""
        device = self.image.device
        here, there = overlap(patch.region, (self.image.shape[2], self.image.shape[3]))
        self.label[i] = self.defects[i] != GOOD and bool(inside[there].numpy().any())
        where = inside.to(device)
        composite(self.image[i], patch.pixels.to(device), mask=where, region=patch.region)
        self.touched[i][here] = where[there]
        if self.label[i]:
            self.mask[i][here] = where[there]

    def pair(self) -> Pair:
        """Return what has been painted so far."""
        device = self.image.device
        wanted = torch.tensor([defect != GOOD for defect in self.defects], device=device)
        label = torch.tensor(self.label, device=device)
        visibility = torch.tensor(self.visibility, device=device)
        rejected = wanted & ~label
        return Pair(self.image, self.mask, label, self.defects, self.seeds, self.touched, visibility, rejected)
