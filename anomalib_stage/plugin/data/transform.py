# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageTransform: anomalies in the data set, for pipelines of one's own.

Importing this module loads neither weights nor diffusers nor anomalib.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.checks import check_defects, check_fraction, check_range, check_seed
from anomalib_stage.plugin.pairs.painting import Painting
from anomalib_stage.plugin.settings import synthesis_settings
from anomalib_stage.seeds import chance, derive_seed, numpy_generator

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib_stage.plugin.pairs.bank import PairBank
    from anomalib_stage.plugin.pairs.painter import Painter

__all__ = ["StageTransform"]

OWNER = "StageTransform"


class StageTransform(v2.Transform):  # type: ignore[misc] # torchvision has no types
    """Give good images of a data set an anomaly, and their masks its pixels: ``(image, mask) -> (image, mask)``.

    Anomalies come from a folder of pregenerated pairs (``bank``), cheap enough for worker processes, or are painted on
    the CPU by the process that loads the image. A pair takes the place of the whole image, resized to its size: its
    defect would not fit on another image. So give this transform before those that turn or crop. A sample whose mask
    has a pixel already is left as it is.

    A transform cannot change a sample's label. ``StageFolder`` takes the labels from the masks; for any other data
    module set ``datamodule.external_collate_fn = stage_collate``. Only models that read masks and labels may train on
    it (Supersimplenet, UniNet): all others would take the anomalies for good images.

    What a sample gets is a function of the seed, the image's pixels and the epoch, if the epoch is known: the same for
    any number of worker processes. ``StageFolder`` makes it known; elsewhere call :meth:`set_epoch` before each epoch.
    Without that, draws come from torch's random stream, as those of torchvision's transforms do.

    Args:
        bank (str | Path | None): Folder of ``anomalib-stage pregenerate``; ``None`` paints. Defaults to ``None``.
        weights (str): Bundle to paint with: ``default`` or the path of a bundle file; each process loads it when it
            paints for the first time. Defaults to ``"default"``.
        probability (float): Share of images that get an anomaly, in [0, 1]. Defaults to ``0.5``.
        negatives (float): Share of the remaining images in which good surface is painted over with good surface, label
            0; a bank has none. Defaults to ``0.25``.
        defects (list[str] | None): Defects; ``None`` for all. Defaults to ``None``.
        extent (tuple[float, float] | None): Smallest and largest length of a painted defect, as fractions of the
            shorter image side. Defaults to ``None``.
        strength (tuple[float, float] | None): Weakest and strongest painted anomaly, in (0, 1]. Defaults to ``None``.
        foreground (str): Where painted defects may lie: ``auto``, on the object, or ``none``, anywhere.
            Defaults to ``"auto"``.
        min_visibility (float | None): Least change inside a painted mask, as in ``StageAugment``.
            Defaults to ``None``.
        trim (bool): Take pixels without visible change out of painted masks. Defaults to ``False``.
        seed (int): Seed of every choice and picture. Defaults to ``0``.
        steps (int | None): Denoising steps, 4 to 1000. Defaults to ``None``: as many as the bundle's backbone needs.

    Raises:
        InputError: If an argument cannot be used.
        DataError: If the bank cannot be read.
        TypeError: When called, if there is no mask beside the image: the anomaly would stay labelled good.

    Example:
        >>> from anomalib_stage import StageTransform
        >>> transform = StageTransform(probability=0.5, seed=1)
        >>> # image, mask = transform(image, mask)  # tv_tensors.Image (3, H, W), tv_tensors.Mask (H, W)
    """

    def __init__(
        self,
        bank: str | Path | None = None,
        *,
        weights: str = "default",
        probability: float = 0.5,
        negatives: float = 0.25,
        defects: list[str] | None = None,
        extent: tuple[float, float] | None = None,
        strength: tuple[float, float] | None = None,
        foreground: Literal["auto", "none"] = "auto",
        min_visibility: float | None = None,
        trim: bool = False,
        seed: int = 0,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        check_fraction("probability", probability, owner=OWNER)
        check_fraction("negatives", negatives, owner=OWNER)
        check_defects(defects, owner=OWNER)
        check_seed(seed, owner=OWNER)
        self.settings = synthesis_settings(
            steps=steps,
            foreground=foreground,
            extent=extent,
            strength=strength,
            min_visibility=min_visibility,
            trim=trim,
        )
        self.weights, self.defects, self.seed = weights, defects, seed
        self.probability, self.negatives = probability, negatives
        self.bank = None if bank is None else _opened(bank, defects)
        self._painter: Painter | None = None
        self._epoch = torch.full((1,), -1)
        _share(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, before its first sample is loaded; worker processes learn it too.

        Args:
            epoch (int): Number of the epoch, from 0.
        """
        self._epoch.fill_(epoch)

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Refuse a sample without a mask."""
        if not any(isinstance(part, tv_tensors.Mask) for part in flat_inputs):
            msg = (
                "StageTransform needs (image, mask) and got no Mask, so the anomaly would stay labelled good; the data "
                "set is one for classification: give it abnormal_dir and mask_dir, or use StageFolder or StageAugment"
            )
            raise TypeError(msg)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw and paint once for all parts of a sample.

        Raises:
            InputError: If the image is not ``(3, H, W)`` in [0, 1].
        """
        given = [part for part in flat_inputs if isinstance(part, tv_tensors.Image)]
        masks = [part for part in flat_inputs if isinstance(part, tv_tensors.Mask)]
        if len(given) != 1 or given[0].dim() != 3 or given[0].shape[0] != 3:
            seen = [tuple(image.shape) for image in given]
            msg = f"{OWNER}: the sample has images of shapes {seen}; it must have one image (3, H, W), RGB"
            raise InputError(msg)
        if any(bool(mask.any()) for mask in masks):
            return {"painting": None}
        plain = v2.functional.to_dtype(given[0].as_subclass(Tensor), torch.float32, scale=True)
        check_range(plain, owner=OWNER)
        return {"painting": self._painted(plain[None], derive_seed(self.seed, _digest(plain), self._draw()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401 - as in torchvision
        """Return the painted image, or the mask with the anomaly; anything else as it is."""
        painting = params["painting"]
        if painting is None or not bool(painting.painted.any()):
            return inpt
        if isinstance(inpt, tv_tensors.Image):
            pixels = v2.functional.to_dtype(painting.image[0], inpt.dtype, scale=True)
            return tv_tensors.wrap(pixels, like=inpt)
        if isinstance(inpt, tv_tensors.Mask):
            return tv_tensors.wrap(painting.mask[0, 0].expand(inpt.shape).to(inpt.dtype), like=inpt)
        return inpt

    def _draw(self) -> int:
        """Return what makes this draw differ from the last one of the same image."""
        epoch = int(self._epoch)
        return epoch if epoch >= 0 else int(torch.randint(2**31, ()))

    def _painted(self, image: Tensor, seed: int) -> Painting:
        if self.bank is None:
            if self._painter is None:
                self._painter = self._load_painter()
            return self._painter(image, seeds=[seed])
        painting = Painting.untouched(image)
        if chance(seed, "choice") >= self.probability:
            return painting
        pair = self.bank.pairs[int(numpy_generator(seed, "pair").integers(len(self.bank)))]
        pixels, mask = self.bank.read(pair, size=(image.shape[2], image.shape[3]))
        return Painting(pixels[None], mask[None], mask[None])

    def _load_painter(self) -> Painter:
        from anomalib_stage.pipeline.synthesizer import StageSynthesizer  # loads diffusers
        from anomalib_stage.plugin.pairs.painter import Painter  # loads diffusers

        return Painter(
            StageSynthesizer.from_pretrained(self.weights, device="cpu", settings=self.settings),
            probability=self.probability,
            negatives=self.negatives,
            defects=self.defects,
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_painter": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _share(self._epoch)


def _share(epoch: Tensor) -> None:
    """Put the epoch where worker processes that already run see it change."""
    epoch.share_memory_()  # type: ignore[no-untyped-call]


def _opened(folder: str | Path, defects: list[str] | None) -> PairBank:
    from anomalib_stage.plugin.pairs.bank import PairBank  # loads anomalib

    return PairBank.open(folder, defects=defects)


def _digest(image: Tensor) -> str:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).hexdigest()
