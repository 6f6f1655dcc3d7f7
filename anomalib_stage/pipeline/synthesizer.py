# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageSynthesizer: wires masks, regions, denoiser and compositing together; owns no maths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import BundleError, DeviceError, InputError
from anomalib_stage.pipeline.checks import check_images, expand_seeds, validate_masks
from anomalib_stage.pipeline.mask_drawer import GOOD, DrawnMask, MaskDrawer, View
from anomalib_stage.pipeline.pair import Pair, Work
from anomalib_stage.pipeline.region_painter import Job, RegionPainter
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.settings import SynthesisSettings
from anomalib_stage.synthesis.masks.bank import BANK_PREFIXES, unpack_bank
from anomalib_stage.synthesis.regions import crop
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from anomalib_stage.pipeline.region_painter import Patch
    from anomalib_stage.synthesis.masks.bank import BankMask

__all__ = ["GOOD", "Pair", "StageSynthesizer", "resolve_device"]


class StageSynthesizer:
    """Paints pixel-aligned anomalies into good images.

    Not an ``nn.Module``: inside a user's model its network would land in their checkpoint.

    Args:
        bundle (StageBundle): Weights.
        device (str | torch.device): ``auto`` (CUDA if there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        settings (SynthesisSettings | None): What to paint and how; None for the defaults.

    Raises:
        DeviceError: If the device does not exist here.
        BundleError: If the bundle is of a backbone that this synthesizer does not run.

    Example:
        >>> synth = StageSynthesizer.from_pretrained("default", device="cpu")  # doctest: +SKIP
        >>> pair = synth(images, defects="scratch", seeds=0)  # doctest: +SKIP
    """

    def __init__(
        self, bundle: StageBundle, *, device: str | torch.device = "auto", settings: SynthesisSettings | None = None
    ) -> None:
        self.bundle = bundle
        self.device = resolve_device(device)
        self.settings = settings or SynthesisSettings()
        self._painter = _painter(bundle, device=self.device, settings=self.settings)
        shapes = {spec.name: spec.shapes for spec in bundle.manifest.defects}
        displaces = bundle.manifest.backbone != "latent" and self.settings.sampler.name == "graded"
        self._drawer = MaskDrawer(shapes, settings=self.settings.masks, bank=_bank(bundle), displaces=displaces)

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path = "default",
        *,
        device: str | torch.device = "auto",
        settings: SynthesisSettings | None = None,
    ) -> StageSynthesizer:
        """Load a bundle (``default`` or a path) and build its synthesizer; see the class for arguments and errors."""
        resolved = resolve_device(device)
        return cls(StageBundle.load(weights), device=resolved, settings=settings)

    @property
    def defects(self) -> tuple[str, ...]:
        """Defects that can be painted, without ``good``."""
        return self._drawer.defects

    @property
    def steps(self) -> int:
        """Denoising steps of an anomaly."""
        return self._painter.steps

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None = None,
        masks: Tensor | None = None,
        foregrounds: Tensor | None = None,
        seeds: int | Sequence[int] = 0,
    ) -> Pair:
        """Paint one anomaly into each image.

        An anomaly that is not visible enough (``settings.gate``) is painted again with fresh noise, then with a fresh
        mask; after the last try the image stays good.

        Args:
            images (Tensor): Good images ``(B, 3, H, W)``, float in [0, 1], at least 32 px a side.
            defects (str | Sequence[str | None] | None): Defect for all samples or for each; None draws it from the
                seed. ``good`` re-synthesizes intact surface (label False).
            masks (Tensor | None): Where to paint, ``(B, 1, H, W)`` bool or 0/1, none empty. None draws them.
            foregrounds (Tensor | None): Where drawn masks may lie, ``(B, 1, H, W)`` bool or 0/1, none empty. None: as
                ``settings.masks.foreground`` says.
            seeds (int | Sequence[int]): One seed for each sample; a single one is expanded by the sample's position.

        Returns:
            Pair: The images with their masks and labels.

        Raises:
            InputError: If an argument has a shape, dtype, range or name that cannot be used; the message says which.
        """
        check_images(images)
        per_sample = expand_seeds(seeds, len(images))
        defects = self._drawer.choose_defects(defects, per_sample)
        given = None if masks is None else validate_masks(masks, images)
        views = self._views(images, foregrounds) if given is None else [View()] * len(images)
        work = Work.on(images, defects=defects, seeds=per_sample)
        waiting = list(range(len(images)))
        for attempt in range(self.settings.gate.max_tries):
            drawn = {
                i: self._draw(defects[i], per_sample[i], images, views[i], turn=attempt // 2)
                if given is None
                else DrawnMask(given[i])
                for i in waiting
            }
            jobs = [self._job(images[i], drawn[i], defects[i], per_sample[i], attempt, views[i]) for i in waiting]
            waiting = [
                i
                for i, job, patch in zip(waiting, jobs, self._painter.paint(jobs), strict=True)
                if not self._accept(work, i, job, patch)
            ]
            if not waiting:
                break
        return work.pair()

    def draw_masks(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None = None,
        foregrounds: Tensor | None = None,
        seeds: int | Sequence[int] = 0,
    ) -> Tensor:
        """Draw the masks that a call with the same arguments tries first, and paint nothing.

        Args:
            images (Tensor): As in a call.
            defects (str | Sequence[str | None] | None): As in a call.
            foregrounds (Tensor | None): As in a call.
            seeds (int | Sequence[int]): As in a call.

        Returns:
            Tensor: ``(B, 1, H, W)`` bool on the images' device.

        Raises:
            InputError: If an argument cannot be used.
        """
        per_sample = expand_seeds(seeds, len(images))
        defects = self._drawer.choose_defects(defects, per_sample)
        rows = zip(defects, per_sample, self._views(images, foregrounds), strict=True)
        drawn = [self._draw(defect, seed, images, view, turn=0).mask for defect, seed, view in rows]
        return torch.stack(drawn).to(images.device)

    def _views(self, images: Tensor, foregrounds: Tensor | None) -> list[View]:
        if foregrounds is None:
            return self._drawer.views(images)
        return self._drawer.views(
            images, [where[0].numpy() for where in validate_masks(foregrounds, images, name="foreground")]
        )

    def _draw(self, defect: str, seed: int, images: Tensor, view: View, *, turn: int) -> DrawnMask:
        return self._drawer.draw(defect, seed, size=(images.shape[2], images.shape[3]), view=view, turn=turn)

    def _job(self, image: Tensor, drawn: DrawnMask, defect: str, seed: int, attempt: int, view: View) -> Job:
        weakest, strongest = self.settings.strength
        strength = float(numpy_generator(seed, "strength").uniform(weakest, strongest))
        foreground = None if view.allowed is None else torch.from_numpy(view.allowed)[None]
        strength = 1.0 if defect == GOOD else strength
        return Job(
            image,
            drawn.mask,
            defect,
            seed,
            strength=strength,
            attempt=attempt,
            foreground=foreground,
            exemplar=drawn.exemplar,
        )

    def _accept(self, work: Work, i: int, job: Job, patch: Patch) -> bool:
        """Take over a picture, unless it is an anomaly that nobody would see."""
        gate = self.settings.gate
        work.visibility[i] = patch.score
        inside = crop(job.mask, patch.region)
        judged = job.defect != GOOD and gate.min_visibility > 0
        if judged and (patch.score < gate.min_visibility or patch.agreement < gate.min_agreement):
            return False
        if (judged and gate.trim) or (job.defect != GOOD and patch.exact):
            inside = patch.seen
        work.take(i, patch, inside)
        return True


def _painter(bundle: StageBundle, *, device: torch.device, settings: SynthesisSettings) -> RegionPainter:
    if bundle.manifest.backbone == "latent":
        from anomalib_stage.pipeline.latent_painter import LatentPainter

        return LatentPainter(bundle, device=device, settings=settings)
    return RegionPainter(bundle, device=device, settings=settings)


def _bank(bundle: StageBundle) -> dict[str, list[BankMask]]:
    stored = {name: tensor.numpy() for name, tensor in bundle.tensors.items() if name.startswith(BANK_PREFIXES)}
    try:
        return unpack_bank(stored)
    except InputError as error:
        msg = f"{bundle.path}: {error}; get the file again, or fit it again"
        raise BundleError(msg) from error


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device named; ``auto`` is CUDA if there is one.

    Raises:
        DeviceError: If the name is not a device, or not one of this machine, or neither CPU nor CUDA.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        msg = f"device {device!r} is not a device name; use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        raise DeviceError(msg) from error
    if resolved.type not in ("cpu", "cuda"):
        msg = f"device {device!r} cannot be painted on; use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        raise DeviceError(msg)
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        msg = f"device {device!r} asked for, but this machine has {found} CUDA devices; use 'cpu' or 'auto'"
        raise DeviceError(msg)
    return resolved
