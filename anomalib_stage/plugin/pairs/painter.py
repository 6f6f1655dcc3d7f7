# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Decides which images of a training batch get an anomaly and has them painted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.synthesizer import GOOD
from anomalib_stage.plugin.pairs.painting import Painting
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from anomalib_stage.pipeline.synthesizer import StageSynthesizer

__all__ = ["Painter"]

logger = logging.getLogger(__name__)


TRIES = 8
"""How often a mask is drawn anew for an image whose model would not see it."""


class Painter:
    """Paints anomalies and negatives into the batches of one training run.

    Args:
        synthesizer (StageSynthesizer): Makes the pictures.
        probability (float): Share of images that get an anomaly, in [0, 1].
        negatives (float): Share of the remaining images that get re-synthesized good surface, in [0, 1].
        defects (Sequence[str] | None): Defects to paint; None for all that the bundle knows.
        visible (Callable | None): Takes images and their masks and returns, ``(B,)`` bool, whether the model will see
            anything of each mask. A mask it would lose is drawn anew; after the last try the image stays clean.

    Raises:
        InputError: If the bundle does not know one of the defects.
    """

    def __init__(
        self,
        synthesizer: StageSynthesizer,
        *,
        probability: float,
        negatives: float,
        defects: Sequence[str] | None,
        visible: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        unknown = sorted(set(defects or ()) - set(synthesizer.defects))
        if unknown:
            known = ", ".join(synthesizer.defects)
            msg = f"this bundle does not paint {', '.join(unknown)}; it paints {known}"
            raise InputError(msg)
        if negatives and GOOD not in synthesizer.bundle.defects:
            logger.warning("this bundle cannot paint good surface, so there will be no negatives")
            negatives = 0.0
        self.synthesizer, self.visible = synthesizer, visible
        self.probability, self.negatives, self.defects = probability, negatives, defects

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        *,
        seeds: Sequence[int],
        skip: Tensor | None = None,
        pixels: bool = True,
        foregrounds: Tensor | None = None,
    ) -> Painting:
        """Paint one batch; what is painted where depends on the seeds and the images alone.

        Args:
            images (Tensor): ``(B, 3, H, W)`` float in [0, 1].
            seeds (Sequence[int]): One seed for each image.
            skip (Tensor | None): ``(B,)`` bool, images to leave alone.
            pixels (bool): Paint; False draws the masks of the anomalies alone, which costs nearly nothing.
            foregrounds (Tensor | None): ``(B, 1, H, W)`` bool, where defects may lie; None: as the synthesizer's
                settings say.

        Returns:
            Painting: The batch; images that were not chosen are unchanged to the bit.
        """
        plain = images.as_subclass(torch.Tensor)
        defects = self._choose(seeds, [False] * len(plain) if skip is None else skip.tolist(), good=pixels)
        painting = Painting.untouched(plain)
        if not defects:
            return painting
        image, mask, painted = painting.image, painting.mask, painting.painted
        chosen, wanted = list(defects), list(defects.values())
        allowed = None if foregrounds is None else foregrounds[chosen]
        final = self._visible_seeds(plain[chosen], wanted, [seeds[i] for i in chosen], allowed)
        if not pixels:
            mask[chosen] = self._masks(plain[chosen], wanted, final, allowed)
            return Painting(image, mask, mask)
        with torch.autocast(plain.device.type, enabled=False):
            pair = self.synthesizer(plain[chosen], defects=wanted, foregrounds=allowed, seeds=final)
        image[chosen], mask[chosen], painted[chosen] = pair.image, pair.mask, pair.painted
        rejected = int(pair.rejected.sum())
        return self._without_invisible(Painting(image, mask, painted, rejected=rejected), plain)

    def _choose(self, seeds: Sequence[int], skip: Sequence[bool], *, good: bool) -> dict[int, str | None]:
        """Choose samples and defects: an anomaly (None: the synthesizer draws it), ``good``, or not in the dict."""
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

    def _visible_seeds(
        self, images: Tensor, defects: Sequence[str | None], seeds: Sequence[int], allowed: Tensor | None
    ) -> list[int]:
        """Exchange the seeds whose masks the model would lose, before anything expensive is done with them."""
        final = list(seeds)
        waiting = [i for i, defect in enumerate(defects) if defect != GOOD] if self.visible else []
        for attempt in range(TRIES):
            if not waiting or self.visible is None:
                break
            where = None if allowed is None else allowed[waiting]
            masks = self._masks(images[waiting], [defects[i] for i in waiting], [final[i] for i in waiting], where)
            seen = self.visible(images[waiting], masks).tolist()
            waiting = [i for i, visible in zip(waiting, seen, strict=True) if not visible]
            for i in waiting:
                final[i] = derive_seed(seeds[i], "again", attempt)
        return final

    def _without_invisible(self, painting: Painting, clean: Tensor) -> Painting:
        """Make samples clean again of whose anomaly the model would see nothing: their label would be false."""
        if self.visible is None or not bool(painting.anomalous.any()):
            return painting
        lost = painting.anomalous & ~self.visible(painting.image, painting.mask)
        kept = ~lost.view(-1, 1, 1, 1)
        image = torch.where(kept, painting.image, clean)
        mask, painted = painting.mask & kept, painting.painted & kept
        return Painting(image, mask, painted, put_back=int(lost.sum()), rejected=painting.rejected)

    def _masks(
        self, images: Tensor, defects: Sequence[str | None], seeds: Sequence[int], allowed: Tensor | None
    ) -> Tensor:
        """Draw the masks that the synthesizer would paint for these defects and seeds in images of this size."""
        return self.synthesizer.draw_masks(images, defects=list(defects), foregrounds=allowed, seeds=seeds)
