# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Decides which images of a training batch get an anomaly and has them painted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.swapping import Painting
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesizer import GOOD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.synthesizer import StageSynthesizer

__all__ = ["Painter"]

logger = logging.getLogger(__name__)


class Painter:
    """Paints anomalies and negatives into the batches of one training run.

    Args:
        synthesizer (StageSynthesizer): Makes the pictures.
        probability (float): Share of images that get an anomaly, in [0, 1].
        negatives (float): Share of the remaining images that get re-synthesized good surface, in [0, 1].
        defects (Sequence[str] | None): Kinds to paint; None for all that the bundle knows.

    Raises:
        InputError: If the bundle does not know one of the kinds.
    """

    def __init__(
        self,
        synthesizer: StageSynthesizer,
        *,
        probability: float,
        negatives: float,
        defects: Sequence[str] | None,
    ) -> None:
        unknown = sorted(set(defects or ()) - set(synthesizer.kinds))
        if unknown:
            known = ", ".join(synthesizer.kinds)
            msg = f"StageAugment: this bundle does not paint {', '.join(unknown)}; it paints {known}"
            raise InputError(msg)
        if negatives and GOOD not in synthesizer.bundle.kinds:
            logger.warning("StageAugment: this bundle cannot paint good surface, so there will be no negatives")
            negatives = 0.0
        self.synthesizer = synthesizer
        self.probability, self.negatives, self.defects = probability, negatives, defects

    @torch.no_grad()
    def __call__(
        self, images: Tensor, *, seeds: Sequence[int], skip: Tensor | None = None, pixels: bool = True
    ) -> Painting:
        """Paint one batch; what is painted where depends on the seeds and the images alone.

        Args:
            images (Tensor): ``(B, 3, H, W)`` float in [0, 1].
            seeds (Sequence[int]): One seed for each image.
            skip (Tensor | None): ``(B,)`` bool, images to leave alone.
            pixels (bool): Paint; False draws the masks of the anomalies alone, which costs nearly nothing.

        Returns:
            Painting: The batch; images that were not chosen are unchanged to the bit.
        """
        plain = images.as_subclass(torch.Tensor)
        kinds = self._choose(seeds, [False] * len(plain) if skip is None else skip.tolist(), good=pixels)
        empty = torch.zeros(len(plain), 1, *plain.shape[2:], dtype=torch.bool, device=plain.device)
        if not kinds:
            return Painting(plain, empty, empty)
        chosen, chosen_seeds = list(kinds), [seeds[i] for i in kinds]
        image, mask, painted = plain, empty, empty.clone()
        if pixels:
            with torch.autocast(plain.device.type, enabled=False):
                pair = self.synthesizer(plain[chosen], defects=list(kinds.values()), seeds=chosen_seeds)
            image, mask = plain.clone(), empty.clone()
            image[chosen], mask[chosen], painted[chosen] = pair.image, pair.mask, pair.painted
        else:
            mask = painted
            mask[chosen] = self._masks(list(kinds.values()), chosen_seeds, plain)
        return Painting(image, mask, painted)

    def _choose(self, seeds: Sequence[int], skip: Sequence[bool], *, good: bool) -> dict[int, str | None]:
        """Choose samples and kinds: an anomaly (None: the synthesizer draws the kind), ``good``, or not in the dict."""
        chosen: dict[int, str | None] = {}
        for i, (seed, left_alone) in enumerate(zip(seeds, skip, strict=True)):
            rng = numpy_generator(seed, "choice")
            anomaly, negative = rng.random() < self.probability, rng.random() < self.negatives
            if left_alone:
                continue
            if anomaly:
                chosen[i] = str(rng.choice(list(self.defects))) if self.defects else None
            elif negative and good:
                chosen[i] = GOOD
        return chosen

    def _masks(self, kinds: Sequence[str | None], seeds: Sequence[int], images: Tensor) -> Tensor:
        """Draw the masks that the synthesizer would paint for these kinds and seeds."""
        synthesizer = self.synthesizer
        named = synthesizer._kinds(list(kinds), seeds)
        return synthesizer._draw_masks(named, seeds, (images.shape[2], images.shape[3])).to(images.device)
