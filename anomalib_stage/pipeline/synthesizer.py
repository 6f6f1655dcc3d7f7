# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageSynthesizer: plan, then paint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.profiler import record_function

from anomalib_stage.deprecated.arguments import accept_old_names, warn_old
from anomalib_stage.devices import resolve_device
from anomalib_stage.pipeline.checks import check_images, check_jobs, check_whole_number, expand_seeds
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.pipeline.planner import Planner
from anomalib_stage.pipeline.region_painter import RegionPainter, load_backbone
from anomalib_stage.seeds import CallSeeds
from anomalib_stage.settings import build_settings
from anomalib_stage.synthesis.regions import crop
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from anomalib_stage.pipeline.jobs import Job, Patch
    from anomalib_stage.settings import SynthesisSettings

__all__ = ["GOOD", "Pair", "StageSynthesizer", "resolve_device"]


class StageSynthesizer:
    """Paints pixel-aligned anomalies into good images.

    Not an ``nn.Module``: inside a user's model its network would land in their checkpoint.

    Args:
        bundle (StageBundle): Weights.
        device (str | torch.device): ``auto`` (CUDA if there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        synthesis (SynthesisSettings | Mapping[str, Any] | None): What to paint and how, as settings or as a mapping of
            what differs from the defaults, such as ``{"masks": {"extent": (0.05, 0.5)}}``; None for the defaults.
        seed (int): What calls without ``seeds`` draw from: each gets fresh ones, the same in the same run again.

    Raises:
        DeviceError: If the device does not exist here.
        InputError: If a setting or the seed cannot be used.
        BundleError: If the bundle is of a backbone that this synthesizer does not run.

    Example:
        >>> synth = StageSynthesizer.from_pretrained("default", device="cpu")  # doctest: +SKIP
        >>> pair = synth(images, defects="scratch")  # doctest: +SKIP
        >>> again = synth(images, defects=pair.defect, seeds=pair.seed)  # doctest: +SKIP
    """

    @accept_old_names
    def __init__(
        self,
        bundle: StageBundle,
        *,
        device: str | torch.device = "auto",
        synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        check_whole_number("seed", seed)
        self._seeds = CallSeeds(seed)
        self.bundle = bundle
        self.device = resolve_device(device)
        self.settings = build_settings(synthesis)
        backbone = load_backbone(bundle, device=self.device, settings=self.settings)
        self._painter = RegionPainter(backbone, device=self.device, settings=self.settings)
        self.planner = Planner(bundle, settings=self.settings)

    @classmethod
    @accept_old_names
    def from_pretrained(
        cls,
        weights: str | Path = "default",
        *,
        device: str | torch.device = "auto",
        synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> StageSynthesizer:
        """Load a bundle (``default`` or a path) and build its synthesizer; see the class for arguments and errors."""
        resolved = resolve_device(device)
        return cls(StageBundle.load(weights), device=resolved, synthesis=synthesis, seed=seed)

    @property
    def defects(self) -> tuple[str, ...]:
        """Defects that can be painted, without ``good``."""
        return self.planner.defects

    @property
    def kinds(self) -> tuple[str, ...]:
        """Deprecated name of :attr:`defects`."""
        warn_old("StageSynthesizer.kinds", "StageSynthesizer.defects")
        return self.defects

    @property
    def steps(self) -> int:
        """Denoising steps of an anomaly."""
        return self._painter.steps

    @property
    def calls(self) -> int:
        """Calls without ``seeds`` so far; keep it with a checkpoint, and set it to go on with the seeds that follow."""
        return self._seeds.calls

    @calls.setter
    def calls(self, calls: int) -> None:
        check_whole_number("calls", calls, least=0)
        self._seeds.calls = calls

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None = None,
        masks: Tensor | None = None,
        foregrounds: Tensor | None = None,
        seeds: int | Sequence[int] | None = None,
    ) -> Pair:
        """Plan one anomaly for each image, and paint it: :meth:`plan`, then :meth:`paint`.

        Args:
            images (Tensor): Good images ``(B, 3, H, W)``, float in [0, 1], at least 32 px a side.
            defects (str | Sequence[str | None] | None): Defect for all samples or for each; None draws it from the
                seed. ``good`` re-synthesizes intact surface (label False).
            masks (Tensor | None): Where to paint, ``(B, 1, H, W)`` bool or 0/1, none empty. None draws them.
            foregrounds (Tensor | None): Where drawn masks may lie, ``(B, 1, H, W)`` bool or 0/1, none empty. None: as
                ``settings.masks.foreground`` says.
            seeds (int | Sequence[int] | None): One seed for each sample; a single one is expanded by the sample's
                position. None: fresh ones in every call, from the synthesizer's own seed and :attr:`calls`.

        Returns:
            Pair: The images with their masks and labels, and the seeds.

        Raises:
            InputError: If an argument has a shape, dtype, range or name that cannot be used; the message says which.
        """
        return self._paint(
            images, self.plan(images, defects=defects, masks=masks, foregrounds=foregrounds, seeds=seeds)
        )

    @torch.no_grad()
    def plan(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None = None,
        masks: Tensor | None = None,
        foregrounds: Tensor | None = None,
        seeds: int | Sequence[int] | None = None,
    ) -> list[Job]:
        """Decide what is painted into each image, and where, and paint nothing.

        Jobs are plain data: they can be planned in another thread or process (with ``synthesizer.planner``, which can
        be pickled and needs no network), ahead of time, and painted here.

        Args:
            images (Tensor): As in a call; so are the others.
            defects (str | Sequence[str | None] | None): Defects.
            masks (Tensor | None): Where to paint.
            foregrounds (Tensor | None): Where drawn masks may lie.
            seeds (int | Sequence[int] | None): Seeds; None: fresh ones, and the call is counted.

        Returns:
            list[Job]: One for each image, in their order.

        Raises:
            InputError: If an argument cannot be used; the message says which.
        """
        with record_function("stage::check"):
            check_images(images)
        chosen = self._seeds.draw(len(images)) if seeds is None else expand_seeds(seeds, len(images))
        return self.planner.plan(images, defects=defects, masks=masks, foregrounds=foregrounds, seeds=chosen)

    @torch.no_grad()
    def paint(self, images: Tensor, jobs: Sequence[Job]) -> Pair:
        """Paint what was planned.

        An anomaly that is not visible enough (``settings.gate``) is painted again with fresh noise, then with a fresh
        mask unless the mask was given; after the last try the image stays good.

        Args:
            images (Tensor): The images that the jobs were planned for, ``(B, 3, H, W)`` float in [0, 1].
            jobs (Sequence[Job]): At most one for each image; images without one stay as they are.

        Returns:
            Pair: The images with their masks and labels.

        Raises:
            InputError: If a job does not belong to these images or this bundle.
        """
        with record_function("stage::check"):
            check_images(images)
            check_jobs(jobs, images, defects=self.bundle.defects)
        return self._paint(images, jobs)

    def _paint(self, images: Tensor, jobs: Sequence[Job]) -> Pair:
        with record_function("stage::composite"):
            pair = Pair.untouched(images)
        visibility, waiting = [0.0] * len(images), list(jobs)
        label, rejected = [False] * len(images), [False] * len(images)
        for attempt in range(self.settings.gate.max_tries):
            if not waiting:
                break
            if attempt:
                waiting = self.planner.plan_again(waiting, images)
            patches = self._painter.paint(images, waiting)
            failed = []
            with record_function("stage::composite"):
                for job, patch in zip(waiting, patches, strict=True):
                    visibility[job.index] = patch.score
                    if self._is_visible(job, patch):
                        inside = self._choose_pixels(job, patch)
                        label[job.index] = pair.put(job.index, patch, inside, anomalous=job.defect != GOOD)
                    else:
                        failed.append(job)
            waiting = failed
        defect, seed = [""] * len(images), [0] * len(images)
        for job in jobs:
            defect[job.index], seed[job.index] = job.defect, job.seed
            rejected[job.index] = job.defect != GOOD and not label[job.index]
        return pair.with_numbers(label=label, defect=defect, seed=seed, visibility=visibility, rejected=rejected)

    def _is_visible(self, job: Job, patch: Patch) -> bool:
        """Refuse an anomaly that nobody would see."""
        gate = self.settings.gate
        if job.defect == GOOD or gate.min_visibility <= 0:
            return True
        return patch.score >= gate.min_visibility and patch.agreement >= gate.min_agreement

    def _choose_pixels(self, job: Job, patch: Patch) -> Tensor:
        """Return the pixels of a region to take over, ``(1, height, width)`` bool."""
        gate = self.settings.gate
        trims = gate.trim and gate.min_visibility > 0
        if job.defect != GOOD and (trims or patch.exact):
            return patch.seen
        return crop(job.mask, patch.region)

    def draw_masks(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None = None,
        foregrounds: Tensor | None = None,
        seeds: int | Sequence[int] | None = None,
    ) -> Tensor:
        """Deprecated: masks of :meth:`plan`.

        Args:
            images (Tensor): As in a call; so are the others.
            defects (str | Sequence[str | None] | None): Defects.
            foregrounds (Tensor | None): Where masks may lie.
            seeds (int | Sequence[int] | None): Seeds; None: fresh ones, and the call is counted.

        Returns:
            Tensor: ``(B, 1, H, W)`` bool on the images' device.

        Raises:
            InputError: If an argument cannot be used.
        """
        warn_old("StageSynthesizer.draw_masks", "StageSynthesizer.plan: its jobs have the masks")
        jobs = self.plan(images, defects=defects, foregrounds=foregrounds, seeds=seeds)
        return torch.stack([job.mask for job in jobs]).to(images.device)
