# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Plan what is painted where: every decision of a job is made here, and no network is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.profiler import record_function

from anomalib_stage.errors import BundleError, InputError
from anomalib_stage.pipeline.checks import validate_masks
from anomalib_stage.pipeline.jobs import GOOD, Job, Transfer
from anomalib_stage.pipeline.mask_drawer import MaskDrawer
from anomalib_stage.pipeline.object_finder import ObjectFinder, read_pixels
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.masks.bank import BANK_PREFIXES, unpack_bank
from anomalib_stage.weights.compact import load_softness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.synthesis.masks.bank_mask import BankMask
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Planner"]

GAIN = (0.7, 1.2)
"""Range of the factor by which an exemplar's detail is made weaker or stronger."""

OWN_COLOURS = 0.5
"""Share of the anomalies with an exemplar that have its colours; the others have colours drawn for the surface."""

AS_MEASURED = (0.5, 1.5)
"""Softness of an anomaly relative to that measured for its defect."""


class Planner:
    """Makes jobs of images. It can be pickled, and used by several threads.

    Args:
        bundle (StageBundle): What there is to paint.
        settings (SynthesisSettings): What to paint and how.

    Raises:
        BundleError: If the bundle's bank of real masks is malformed.
    """

    def __init__(self, bundle: StageBundle, *, settings: SynthesisSettings) -> None:
        self.settings = settings
        # a latent network paints all detail, and so does the published sampler
        self._transfers = bundle.manifest.backbone != "latent" and settings.sampler.name == "graded"
        self._softness, self._finder = load_softness(bundle), ObjectFinder()
        shapes = {spec.name: spec.shapes for spec in bundle.manifest.defects}
        self._drawer = MaskDrawer(shapes, settings=settings.masks, bank=_load_bank(bundle), displaces=self._transfers)

    @property
    def defects(self) -> tuple[str, ...]:
        """Defects that can be painted, without ``good``."""
        return self._drawer.defects

    def plan(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None,
        masks: Tensor | None,
        foregrounds: Tensor | None,
        seeds: Sequence[int],
    ) -> list[Job]:
        """Decide what is painted into each image; see :meth:`StageSynthesizer.plan` for the arguments and errors."""
        chosen = self._drawer.choose_defects(defects, seeds)
        if masks is not None:
            given = validate_masks(masks, images)
            rows = zip(chosen, seeds, given, strict=True)
            return [self._decide(Job(i, *row, given=True)) for i, row in enumerate(rows)]
        with record_function("stage::foreground"):
            pixels, allowed = self._look(images, foregrounds)
        size = (images.shape[2], images.shape[3])
        with record_function("stage::masks"):
            return [self._draw(i, chosen[i], seeds[i], size, allowed[i], pixels[i]) for i in range(len(images))]

    def plan_again(self, jobs: Sequence[Job], images: Tensor) -> list[Job]:
        """Plan another try of jobs whose pictures could not be used: with fresh noise, then with a fresh mask.

        Args:
            jobs (Sequence[Job]): The jobs.
            images (Tensor): The batch that they are of, ``(B, 3, H, W)``.

        Returns:
            list[Job]: One for each.
        """
        redrawn = [job for job in jobs if not job.given and job.attempt % 2]  # two tries for each mask
        if not redrawn or not self._drawer.looks_at_images:
            pixels = {}
        else:
            indices = [job.index for job in redrawn]
            pixels = dict(zip(indices, read_pixels(images[indices]), strict=True))
        again = []
        for job in jobs:
            following = replace(job, attempt=job.attempt + 1)
            if not job.given and job.attempt % 2:
                allowed = None if job.foreground is None else job.foreground[0].numpy()
                following = self._redraw(following, allowed, pixels.get(job.index))
            again.append(self._decide(following))
        return again

    def _look(
        self, images: Tensor, foregrounds: Tensor | None
    ) -> tuple[list[NDArray[np.uint8] | None], list[NDArray[np.bool_] | None]]:
        """Return the pixels of each image, where drawing looks at them, and where its mask may lie."""
        given = None if foregrounds is None else validate_masks(foregrounds, images, name="foreground")
        estimated = given is None and self.settings.masks.foreground != "none"
        pixels: list[NDArray[np.uint8] | None] = [None] * len(images)
        if estimated or self._drawer.looks_at_images:
            pixels = [*read_pixels(images)]
        if given is not None:
            return pixels, [where[0].numpy() for where in given]
        if not estimated:
            return pixels, [None] * len(images)
        return pixels, [None if one is None else self._finder.find(one) for one in pixels]

    def _draw(
        self,
        index: int,
        defect: str,
        seed: int,
        size: tuple[int, int],
        allowed: NDArray[np.bool_] | None,
        pixels: NDArray[np.uint8] | None,
    ) -> Job:
        mask, exemplar = self._drawer.draw(defect, seed, size=size, foreground=allowed, pixels=pixels)
        job = Job(
            index,
            defect,
            seed,
            torch.from_numpy(mask)[None],
            foreground=None if allowed is None else torch.from_numpy(allowed)[None],
            exemplar=exemplar,
        )
        return self._decide(job)

    def _redraw(self, job: Job, allowed: NDArray[np.bool_] | None, pixels: NDArray[np.uint8] | None) -> Job:
        size = (job.mask.shape[1], job.mask.shape[2])
        mask, exemplar = self._drawer.draw(
            job.defect, job.seed, size=size, foreground=allowed, pixels=pixels, turn=job.attempt // 2
        )
        return replace(job, mask=torch.from_numpy(mask)[None], exemplar=exemplar)

    def _decide(self, job: Job) -> Job:
        """Draw the rest from the job's seed."""
        weakest, strongest = self.settings.strength
        strength = float(numpy_generator(job.seed, "strength").uniform(weakest, strongest))
        transfer = self._draw_transfer(job)
        softness = 0.0 if job.defect == GOOD or transfer else self._draw_softness(job)
        return replace(job, strength=1.0 if job.defect == GOOD else strength, transfer=transfer, softness=softness)

    def _draw_transfer(self, job: Job) -> Transfer | None:
        if job.exemplar is None or not self._transfers:
            return None
        rng = numpy_generator(job.seed, "exemplar", *job.again)
        if rng.random() >= self.settings.exemplars:
            return None
        return Transfer(float(rng.uniform(*GAIN)), own_colours=bool(rng.random() < OWN_COLOURS))

    def _draw_softness(self, job: Job) -> float:
        rng, measured = numpy_generator(job.seed, "edge"), self._softness.get(job.defect)
        hardest, softest = self.settings.softness
        if measured is None or not softest:
            return hardest + (softest - hardest) * float(rng.uniform()) ** 2
        return min(measured * float(rng.uniform(*AS_MEASURED)), 1.0)


def _load_bank(bundle: StageBundle) -> dict[str, list[BankMask]]:
    stored = {name: tensor.numpy() for name, tensor in bundle.floats().items() if name.startswith(BANK_PREFIXES)}
    try:
        return unpack_bank(stored)
    except InputError as error:
        msg = f"{bundle.path}: {error}; get the file again, or fit it again"
        raise BundleError(msg) from error
