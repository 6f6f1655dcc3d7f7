# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The pairs that come out: images with their pixel-exact labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from anomalib_stage.synthesis.blend.composite import composite
from anomalib_stage.synthesis.regions import find_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Patch

__all__ = ["Pair"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Synthetic images with their pixel-exact labels.

    Args:
        image (Tensor): ``(B, 3, H, W)``, dtype and device of the input, [0, 1]; equal to the input outside ``painted``.
        mask (Tensor): ``(B, 1, H, W)`` bool, the anomaly; all False for the defect ``good``.
        label (Tensor): ``(B,)`` bool, True where the mask has a pixel.
        defect (list[str]): Defect of each sample; "" where nothing was to be painted.
        seed (list[int]): Seed of each sample, given or drawn; with the bundle, image and defect it makes the pair
            again. 0 where nothing was to be painted.
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

    @classmethod
    def untouched(cls, images: Tensor) -> Pair:
        """Begin with a copy of good images ``(B, 3, H, W)`` in which nothing is painted yet."""
        plain = images.as_subclass(torch.Tensor).clone()
        mask, painted = (torch.zeros_like(plain[:, :1], dtype=torch.bool) for _ in range(2))
        label, rejected = (torch.zeros(len(plain), dtype=torch.bool, device=plain.device) for _ in range(2))
        visibility = torch.zeros(len(plain), device=plain.device)
        return cls(plain, mask, label, [""] * len(plain), [0] * len(plain), painted, visibility, rejected)

    @property
    def negative(self) -> Tensor:
        """Samples with re-synthesized good surface, ``(B,)`` bool."""
        return self.painted.flatten(1).any(dim=1) & ~self.label

    def put(self, i: int, patch: Patch, inside: Tensor, *, anomalous: bool) -> bool:
        """Put a picture into image ``i``, in place.

        Args:
            i (int): Which image.
            patch (Patch): The picture.
            inside (Tensor): Pixels of its region to take, ``(1, height, width)`` bool on the CPU.
            anomalous (bool): They are an anomaly; False: good surface painted anew.

        Returns:
            bool: Whether the image has an anomaly now.
        """
        device = self.image.device
        here, there = find_overlap(patch.region, (self.image.shape[2], self.image.shape[3]))
        anomalous = anomalous and bool(inside[there].numpy().any())
        where = inside.to(device)
        composite(self.image[i], patch.pixels.to(device), mask=where, region=patch.region)
        self.painted[i][here] = where[there]
        if anomalous:
            self.mask[i][here] = where[there]
        return anomalous

    def replace_image(self, i: int, image: Tensor, mask: Tensor) -> None:
        """Put a finished pair in the place of image ``i``.

        Args:
            i (int): Which image.
            image (Tensor): ``(3, H, W)`` in [0, 1].
            mask (Tensor): Its anomaly, ``(1, H, W)`` bool, not empty.
        """
        self.image[i] = image.to(self.image)
        self.mask[i] = self.painted[i] = mask.to(self.image.device)
        self.label[i] = True

    def keep(self, kept: Tensor, clean: Tensor) -> Pair:
        """Make the other samples good again.

        Args:
            kept (Tensor): ``(B,)`` bool, samples to leave as they are.
            clean (Tensor): The images before they were painted into.

        Returns:
            Pair: With the input, an empty mask and label False in all others.
        """
        where = kept.view(-1, 1, 1, 1)
        image = torch.where(where, self.image, clean)
        return replace(self, image=image, mask=self.mask & where, painted=self.painted & where, label=self.label & kept)

    def with_numbers(
        self,
        *,
        label: Sequence[bool],
        defect: Sequence[str],
        seed: Sequence[int],
        visibility: Sequence[float],
        rejected: Sequence[bool],
    ) -> Pair:
        """Return the pair with what is known of each sample."""
        device = self.image.device
        return replace(
            self,
            label=torch.tensor(label, device=device),
            defect=list(defect),
            seed=list(seed),
            visibility=torch.tensor(visibility, device=device),
            rejected=torch.tensor(rejected, device=device),
        )
