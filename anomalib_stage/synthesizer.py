# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageSynthesizer: wires masks, regions, denoiser and compositing together; owns no maths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import BundleError, DeviceError, InputError
from anomalib_stage.inputs import check_images, checked_masks, seed_list
from anomalib_stage.seeds import generators, numpy_generator, standard_normal
from anomalib_stage.settings import SynthesisSettings
from anomalib_stage.synthesis.codec import PixelCodec
from anomalib_stage.synthesis.compositing import composite
from anomalib_stage.synthesis.denoiser import CompactDenoiser, TiledDenoiser
from anomalib_stage.synthesis.masks import draw_extent, draw_mask
from anomalib_stage.synthesis.noise import region_noise, surround_fill
from anomalib_stage.synthesis.regions import Region, crop, region_around
from anomalib_stage.synthesis.sampling import Guidance, sample_graded, sample_reference
from anomalib_stage.synthesis.schedule import Schedule
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["GOOD", "Pair", "StageSynthesizer", "load_denoiser", "resolve_device"]

GOOD = "good"
"""The kind that paints intact surface; its pairs are negatives with label False."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Synthetic images with their pixel-exact labels.

    Args:
        image (Tensor): ``(B, 3, H, W)``, dtype and device of the input, [0, 1]; equal to the input outside ``painted``.
        mask (Tensor): ``(B, 1, H, W)`` bool, the anomaly; all False for the kind ``good``.
        label (Tensor): ``(B,)`` bool, True where the mask has a pixel.
        defect (list[str]): Kind of each sample.
        seed (list[int]): Seed of each sample; with the bundle, image and kind it makes the pair again.
        painted (Tensor): ``(B, 1, H, W)`` bool, the pixels the synthesizer was allowed to change.
    """

    image: Tensor
    mask: Tensor
    label: Tensor
    defect: list[str]
    seed: list[int]
    painted: Tensor


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
        self._network = load_denoiser(bundle).eval().requires_grad_(requires_grad=False).to(self.device)
        self._codec = PixelCodec(round(self._network.cells**0.5))
        self._schedule, self._noise = Schedule(bundle.manifest.schedule), bundle.manifest.noise
        self._shapes = {spec.name: spec.shapes for spec in bundle.manifest.kinds}

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
    def kinds(self) -> tuple[str, ...]:
        """Defect kinds that can be painted, without ``good``."""
        return tuple(kind for kind in self._shapes if kind != GOOD)

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        *,
        defects: str | Sequence[str | None] | None = None,
        masks: Tensor | None = None,
        seeds: int | Sequence[int] = 0,
    ) -> Pair:
        """Paint one anomaly into each image.

        Args:
            images (Tensor): Good images ``(B, 3, H, W)``, float in [0, 1], at least 32 px a side.
            defects (str | Sequence[str | None] | None): Kind for all samples or for each; None draws it from the seed.
                ``good`` re-synthesizes intact surface (label False).
            masks (Tensor | None): Where to paint, ``(B, 1, H, W)`` bool or 0/1, none empty. None draws them.
            seeds (int | Sequence[int]): One seed for each sample; a single one is expanded by the sample's position.

        Returns:
            Pair: The images with their masks and labels.

        Raises:
            InputError: If an argument has a shape, dtype, range or name that cannot be used; the message says which.
        """
        check_images(images)
        count, size = len(images), (images.shape[2], images.shape[3])
        per_sample = seed_list(seeds, count)
        kinds = self._kinds(defects, per_sample)
        chosen = self._draw_masks(kinds, per_sample, size) if masks is None else checked_masks(masks, images)
        regions = [region_around(mask[0].numpy(), margin=self.settings.margin) for mask in chosen]
        painted = images.as_subclass(torch.Tensor).clone()
        for group in _groups(regions, self.settings.region_batch):
            patches = self._paint(images, chosen, [regions[i] for i in group], kinds, per_sample, group)
            for patch, i in zip(patches, group, strict=True):
                composite(painted[i], patch.to(painted.device), mask=chosen[i].to(painted.device), region=regions[i])
        touched = chosen.to(images.device)
        label = torch.tensor([kind != GOOD for kind in kinds], device=images.device)
        return Pair(painted, touched & label.view(-1, 1, 1, 1), label, kinds, per_sample, touched)

    def _kinds(self, defects: str | Sequence[str | None] | None, seeds: Sequence[int]) -> list[str]:
        given = [defects] * len(seeds) if defects is None or isinstance(defects, str) else list(defects)
        if len(given) != len(seeds):
            msg = f"{len(given)} defects for {len(seeds)} images; give one for each image, or one for all"
            raise InputError(msg)
        for kind in given:
            if kind is not None and kind not in self._shapes:
                msg = f"unknown defect {kind!r}; this bundle paints {', '.join(self._shapes)}"
                raise InputError(msg)
        return [
            str(numpy_generator(seed, "kind").choice(self.kinds)) if kind is None else kind
            for kind, seed in zip(given, seeds, strict=True)
        ]

    def _draw_masks(self, kinds: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        settings = self.settings.masks
        drawn = []
        for kind, seed in zip(kinds, seeds, strict=True):
            rng = numpy_generator(seed, "mask")
            low, high = settings.extent
            extent = draw_extent(size, low=low, high=high, minimum=settings.min_extent, rng=rng)
            mask = draw_mask(str(rng.choice(self._shapes[kind])), size, extent=extent, rng=rng)
            drawn.append(torch.from_numpy(mask)[None])
        return torch.stack(drawn)

    def _paint(
        self,
        images: Tensor,
        masks: Tensor,
        regions: Sequence[Region],
        kinds: Sequence[str],
        seeds: Sequence[int],
        group: Sequence[int],
    ) -> Tensor:
        """Sample regions of one size; returns ``(len(group), 3, height, width)`` float32 in [0, 1]."""
        cuts = zip(group, regions, strict=True)
        pixels = torch.stack([crop(images[i], region).float() for i, region in cuts]).to(self.device)
        cuts = zip(group, regions, strict=True)
        inside = torch.stack([crop(masks[i], region) for i, region in cuts]).to(self.device)
        clean, hole = self._codec.encode(pixels.as_subclass(torch.Tensor)), self._codec.encode_mask(inside)
        conditions = self._network.condition([kinds[i] for i in group])
        guidance = Guidance(clean, hole, conditions, surround=surround_fill(clean, hole))
        streams = generators([seeds[i] for i in group], "noise")
        painted = self._codec.decode(self._sample(guidance, streams))
        # a grey camera makes grey defects: three equal channels stay equal
        grey = (pixels == pixels[:, :1]).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        return torch.where(grey, painted.mean(dim=1, keepdim=True), painted)

    def _sample(self, guidance: Guidance, streams: Sequence[torch.Generator]) -> Tensor:
        sampler = self.settings.sampler
        shape = tuple(guidance.clean.shape[1:])
        noise = self._normal(shape, streams)
        denoiser = TiledDenoiser(self._network)
        with torch.autocast(self.device.type, enabled=False):
            if sampler.name == "graded":
                return sample_graded(
                    denoiser,
                    guidance,
                    schedule=self._schedule,
                    noise=noise,
                    steps=sampler.steps,
                    windows=sampler.windows,
                    clip=sampler.clip,
                )
            return sample_reference(
                denoiser,
                guidance,
                schedule=self._schedule,
                start=noise,
                normal=lambda wanted: self._normal(wanted[1:], streams),
                windows=sampler.windows,
            )

    def _normal(self, shape: Sequence[int], streams: Sequence[torch.Generator]) -> Tensor:
        """Noise of the distribution that the network knows; the reference sampler's one-channel noise is white."""
        white = shape[0] != self._codec.channels
        noise = standard_normal(shape, streams) if white else region_noise(shape, streams, settings=self._noise)
        return noise.to(self.device)


def load_denoiser(bundle: StageBundle) -> CompactDenoiser:
    """Build the compact denoiser of a bundle, float32, on the CPU.

    Raises:
        BundleError: If the bundle holds another backbone, or its tensors do not fit its configuration.
    """
    manifest = bundle.manifest
    if manifest.backbone != "compact":
        msg = f"{bundle.path}: backbone is {manifest.backbone!r}; this version runs 'compact' bundles"
        raise BundleError(msg)
    try:
        with torch.random.fork_rng(devices=[]):  # layers draw initial weights that are overwritten at once
            network = CompactDenoiser([spec.name for spec in manifest.kinds], config=manifest.denoiser)
        state = {
            f"unet.{k.removeprefix('denoiser.')}": v for k, v in bundle.floats().items() if k.startswith("denoiser.")
        }
        state |= {
            f"conditions.{k.removeprefix('condition.')}": v
            for k, v in bundle.floats().items()
            if k.startswith("condition.")
        }
        network.load_state_dict(state)
    except (InputError, RuntimeError) as error:
        msg = f"{bundle.path}: the weights do not fit the network that the manifest describes: {error}"
        raise BundleError(msg) from error
    return network


def _module_name(name: str) -> str:
    """Name in the network of a tensor in the bundle."""
    return name.replace("denoiser.", "unet.", 1).replace("condition.", "conditions.", 1)


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device named; ``auto`` is CUDA if there is one.

    Raises:
        DeviceError: If the name is not a device or the device does not exist here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        msg = f"device {device!r} is not a device name; use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        raise DeviceError(msg) from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        msg = f"device {device!r} asked for, but this machine has {found} CUDA devices; use 'cpu' or 'auto'"
        raise DeviceError(msg)
    return resolved


def _groups(regions: Sequence[Region], limit: int) -> Iterator[list[int]]:
    """Positions of regions of one size, at most ``limit`` of the smallest size at once and fewer of the larger ones."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, region in enumerate(regions):
        by_size.setdefault((region.height, region.width), []).append(i)
    for (height, width), members in by_size.items():
        most = max(limit * 64 * 64 // (height * width), 1)
        for start in range(0, len(members), most):
            yield members[start : start + most]
