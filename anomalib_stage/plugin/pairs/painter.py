# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Has the chosen images of a training painted, so that the model sees what it is told."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from anomalib_stage.devices import KINDS
from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.pairs.choice import choose
from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.pipeline.synthesizer import StageSynthesizer
    from anomalib_stage.plugin.pairs.choice import Choice, Shares

__all__ = ["Painter"]

logger = logging.getLogger(__name__)


TRIES = 8
"""How often a mask is drawn anew for an image whose model would not see it."""


class Painter:
    """Paints anomalies and negatives into the batches of one training run.

    Args:
        synthesizer (StageSynthesizer): Makes the pictures.
        shares (Shares): How many images get what.
        visible (Callable | None): Takes images and their masks and returns, ``(B,)`` bool, whether the model will see
            anything of each mask. A mask it would lose is drawn anew; after the last try the image stays clean.

    Raises:
        InputError: If the bundle does not know one of the defects.

    Attributes:
        shares (Shares): Without negatives, if the bundle cannot paint good surface.
    """

    def __init__(
        self,
        synthesizer: StageSynthesizer,
        *,
        shares: Shares,
        visible: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        unknown = sorted(set(shares.defects or ()) - set(synthesizer.defects))
        if unknown:
            known = ", ".join(synthesizer.defects)
            msg = f"this bundle does not paint {', '.join(unknown)}; it paints {known}"
            raise InputError(msg)
        if shares.negatives and GOOD not in synthesizer.bundle.defects:
            logger.warning("this bundle cannot paint good surface, so there will be no negatives")
            shares = replace(shares, negatives=0.0)
        self.synthesizer, self.shares, self.visible = synthesizer, shares, visible

    def __call__(self, images: Tensor, *, seeds: Sequence[int]) -> Pair:
        """Choose, plan and paint a batch.

        Args:
            images (Tensor): ``(B, 3, H, W)`` float in [0, 1].
            seeds (Sequence[int]): One for each image.

        Returns:
            Pair: The batch; images that were not chosen are unchanged to the bit.
        """
        choices = [choose(seed, self.shares) for seed in seeds]
        return self.paint(images, self.plan(images, choices, seeds=seeds))

    @torch.no_grad()
    def plan(
        self, images: Tensor, choices: Sequence[Choice], *, seeds: Sequence[int], foregrounds: Tensor | None = None
    ) -> list[Job]:
        """Plan what the network paints into a batch; a function of the seeds and the images alone.

        Args:
            images (Tensor): ``(B, 3, H, W)`` float in [0, 1].
            choices (Sequence[Choice]): What each image gets; those of the bank and of nobody are passed over.
            seeds (Sequence[int]): One for each image.
            foregrounds (Tensor | None): ``(B, 1, H, W)`` bool, where defects may lie; None: as the synthesizer's
                settings say.

        Returns:
            list[Job]: In the order of the images.
        """
        plain = images.as_subclass(torch.Tensor)
        chosen = [i for i, choice in enumerate(choices) if choice.source == "network"]
        if not chosen:
            return []
        wanted = {i: choices[i].defect for i in chosen}
        jobs = self._plan(plain, wanted, {i: seeds[i] for i in chosen}, foregrounds)
        waiting = [i for i in chosen if wanted[i] != GOOD] if self.visible else []
        for attempt in range(TRIES):
            if not waiting or self.visible is None:
                break
            masks = torch.stack([jobs[i].mask for i in waiting]).to(plain.device)
            seen = self.visible(plain[waiting], masks).tolist()
            waiting = [i for i, visible in zip(waiting, seen, strict=True) if not visible]
            again = {i: derive_seed(seeds[i], "again", attempt) for i in waiting}
            jobs |= self._plan(plain, {i: wanted[i] for i in waiting}, again, foregrounds)
        return [jobs[i] for i in chosen]

    def _plan(
        self, images: Tensor, defects: dict[int, str | None], seeds: dict[int, int], foregrounds: Tensor | None
    ) -> dict[int, Job]:
        """Plan some images of a batch, given by their positions."""
        if not defects:
            return {}
        chosen = list(defects)
        jobs = self.synthesizer.plan(
            _bring(images[chosen]),
            defects=[defects[i] for i in chosen],
            foregrounds=None if foregrounds is None else _bring(foregrounds[chosen]),
            seeds=[seeds[i] for i in chosen],
        )
        return {i: replace(job, index=i) for i, job in zip(chosen, jobs, strict=True)}

    @torch.no_grad()
    def paint(self, images: Tensor, jobs: Sequence[Job]) -> Pair:
        """Paint what was planned, whatever autocast the training runs in.

        Samples of whose anomaly the model would see nothing are made clean again: their label would be false.

        Args:
            images (Tensor): ``(B, 3, H, W)`` float in [0, 1].
            jobs (Sequence[Job]): Of :meth:`plan`.

        Returns:
            Pair: The batch; images without a job are unchanged to the bit.
        """
        plain = images.as_subclass(torch.Tensor)
        if not jobs:
            return Pair.untouched(plain)
        with torch.autocast(plain.device.type, enabled=False):
            pair = _send(self.synthesizer.paint(_bring(plain), jobs), plain.device)
        if self.visible is None or not bool(pair.label.any()):
            return pair
        return pair.keep(~pair.label | self.visible(pair.image, pair.mask), plain)


def _bring(tensor: Tensor) -> Tensor:
    """Fetch images from a device that nothing is painted on, such as MPS."""
    return tensor if tensor.device.type in KINDS else tensor.cpu()


def _send(pair: Pair, device: torch.device) -> Pair:
    """Bring a batch to the device that its images came from."""
    if pair.image.device == device:
        return pair
    tensors = ("image", "mask", "label", "painted", "visibility", "rejected")
    return replace(pair, **{name: getattr(pair, name).to(device) for name in tensors})
