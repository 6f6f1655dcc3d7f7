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

from anomalib_stage.deprecated.arguments import keyword_only
from anomalib_stage.errors import DataError, InputError
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.batch_checks import check_range
from anomalib_stage.plugin.checks import check_defects, check_fraction, check_seed
from anomalib_stage.plugin.data.pipeline_order import check_calling_pipelines
from anomalib_stage.plugin.pairs.choice import Shares, choose
from anomalib_stage.plugin.pairs.resize import resize_image, resize_mask
from anomalib_stage.plugin.settings import build_plugin_settings
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from anomalib_stage.plugin.pairs.bank import PairBank
    from anomalib_stage.plugin.pairs.painter import Painter
    from anomalib_stage.settings import SynthesisSettings

__all__ = ["StageTransform"]

OWNER = "StageTransform"

FIRST = 4
"""Images that must not all be white: what anomalib makes of 16-bit grey."""


class StageTransform(v2.Transform):  # type: ignore[misc] # torchvision has no types
    """Give good images of a data set an anomaly, and their masks its pixels: ``(image, mask) -> (image, mask)``.

    Anomalies come from a folder of pregenerated pairs (``bank``), cheap enough for worker processes, or are painted on
    the CPU by the process that loads the image. A pair takes the place of the whole image, resized to its size: its
    defect would not fit on another image. So with a bank this transform must be the first step: what came before it
    would have been done to good images alone, and is refused when it is first called. Only a resize may come before,
    which pairs take too. A sample whose mask has a pixel already is left as it is.

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
        strength (tuple[float, float] | None): Weakest and strongest painted anomaly, in (0, 1]. Defaults to ``None``.
        foreground (str | None): Where painted defects may lie: ``auto``, on the object, or ``none``, anywhere.
            Defaults to ``None``: ``auto``, unless ``synthesis`` says otherwise.
        sampling_steps (int | None): Denoising steps, 4 to 1000. Defaults to ``None``: as many as the bundle's backbone
            needs.
        synthesis (dict | SynthesisSettings | None): Any other setting of the painting, such as
            ``{"gate": {"trim": True}}`` (:class:`~anomalib_stage.SynthesisSettings`). Defaults to ``None``.
        seed (int): Seed of every choice and picture. Defaults to ``0``.
        extent (tuple[float, float] | None): Old; ``synthesis={"masks": {"extent": ...}}``.
        min_visibility (float | None): Old; ``synthesis={"gate": {"min_visibility": ...}}``.
        trim (bool | None): Old; ``synthesis={"gate": {"trim": ...}}``.
        steps (int | None): Old; ``sampling_steps``.

    Raises:
        InputError: If an argument cannot be used.
        DataError: If the bank cannot be read; when called, if the first images are white all over.
        TypeError: When called, if there is no mask beside the image: the anomaly would stay labelled good.

    Example:
        >>> from anomalib_stage import StageTransform
        >>> transform = StageTransform(probability=0.5, seed=1)
        >>> # image, mask = transform(image, mask)  # tv_tensors.Image (3, H, W), tv_tensors.Mask (H, W)
    """

    @keyword_only("bank")
    def __init__(
        self,
        *,
        bank: str | Path | None = None,
        weights: str = "default",
        probability: float = 0.5,
        negatives: float = 0.25,
        defects: list[str] | None = None,
        strength: tuple[float, float] | None = None,
        foreground: Literal["auto", "none"] | None = None,
        sampling_steps: int | None = None,
        synthesis: dict[str, Any] | SynthesisSettings | None = None,
        seed: int = 0,
        extent: tuple[float, float] | None = None,
        min_visibility: float | None = None,
        trim: bool | None = None,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        check_fraction("probability", probability, owner=OWNER)
        check_fraction("negatives", negatives, owner=OWNER)
        check_defects(defects, owner=OWNER)
        check_seed(seed, owner=OWNER)
        self.settings = build_plugin_settings(
            OWNER,
            synthesis,
            sampling_steps=sampling_steps,
            strength=strength,
            foreground=foreground,
            steps=steps,
            extent=extent,
            min_visibility=min_visibility,
            trim=trim,
        )
        self.weights, self.defects, self.seed = weights, defects, seed
        self.probability, self.negatives = probability, negatives
        self.bank = self._whole_bank = None if bank is None else _open_bank(bank, defects)
        self._painter: Painter | None = None
        self._white = 0
        self._epoch = torch.full((1,), -1)
        _share(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, before its first sample is loaded; worker processes learn it too.

        Args:
            epoch (int): Number of the epoch, from 0.
        """
        self._epoch.fill_(epoch)

    def restrict(self, paths: Iterable[str], *, held_back: Iterable[str]) -> None:
        """Leave out pairs of the bank that were painted into images which do not train; ``StageFolder`` calls it.

        Args:
            paths (Iterable[str]): Files of the good images to train on.
            held_back (Iterable[str]): Files kept for validation and test.

        Raises:
            InputError: If every pair was painted into an image that is held back.
        """
        if self._whole_bank is not None:
            self.bank = self._whole_bank.within(paths, held_back=held_back)

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
            InputError: If the image is not ``(3, H, W)`` in [0, 1], or other steps are taken by one class alone.
            DataError: If the first images are white all over.
        """
        resizes = check_calling_pipelines(self, whole=self.bank is not None)
        given = [part for part in flat_inputs if isinstance(part, tv_tensors.Image)]
        masks = [part for part in flat_inputs if isinstance(part, tv_tensors.Mask)]
        if len(given) != 1 or given[0].dim() != 3 or given[0].shape[0] != 3:
            seen = [tuple(image.shape) for image in given]
            msg = f"{OWNER}: the sample has images of shapes {seen}; it must have one image (3, H, W), RGB"
            raise InputError(msg)
        if any(bool(mask.any()) for mask in masks):
            return {"pair": None}
        plain = v2.functional.to_dtype(given[0].as_subclass(Tensor), torch.float32, scale=True)
        check_range(plain, owner=OWNER)
        self._check_white(plain)
        seed = derive_seed(self.seed, _hash_pixels(plain), self._draw())
        return {"pair": self._paint(plain[None], seed, resizes)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401 - as in torchvision
        """Return the painted image, or the mask with the anomaly; anything else as it is."""
        pair = params["pair"]
        if pair is None or not bool(pair.painted.any()):
            return inpt
        if isinstance(inpt, tv_tensors.Image):
            pixels = v2.functional.to_dtype(pair.image[0], inpt.dtype, scale=True)
            return tv_tensors.wrap(pixels, like=inpt)
        if isinstance(inpt, tv_tensors.Mask):
            return tv_tensors.wrap(pair.mask[0, 0].expand(inpt.shape).to(inpt.dtype), like=inpt)
        return inpt

    def _draw(self) -> int:
        """Return what makes this draw differ from the last one of the same image."""
        epoch = int(self._epoch)
        return epoch if epoch >= 0 else int(torch.randint(2**31, ()))

    def _check_white(self, image: Tensor) -> None:
        """Count white images until one is not."""
        if not 0 <= self._white < FIRST:
            return
        self._white = self._white + 1 if bool((image >= 1.0).all()) else -1
        if self._white == FIRST:
            from anomalib_stage.plugin.pairs.readable_images import CURE, WHITE  # loads OpenCV

            self._white = 0
            msg = f"{OWNER}: the first {FIRST} images are white all over; if a file is {WHITE}, {CURE}"
            raise DataError(msg)

    def _paint(self, image: Tensor, seed: int, resizes: Sequence[v2.Resize]) -> Pair:
        if self.bank is None:
            if self._painter is None:
                self._painter = self._load_painter()
            return self._painter(image, seeds=[seed])
        pair = Pair.untouched(image)
        if choose(seed, self._shares).source != "bank":
            return pair
        drawn = self.bank.pairs[int(numpy_generator(seed, "pair").integers(len(self.bank)))]
        size = (image.shape[2], image.shape[3])
        if not resizes:
            pair.replace_image(0, *self.bank.read(drawn, size=size))
            return pair
        shown, mask = self.bank.read(drawn)
        for resize in resizes:
            shown = resize(tv_tensors.Image(shown)).as_subclass(Tensor).clamp(0.0, 1.0)
        pair.replace_image(0, resize_image(shown, size), resize_mask(mask, size))
        return pair

    def _load_painter(self) -> Painter:
        from anomalib_stage.pipeline.synthesizer import StageSynthesizer  # loads diffusers
        from anomalib_stage.plugin.pairs.painter import Painter  # loads diffusers

        return Painter(
            StageSynthesizer.from_pretrained(self.weights, device="cpu", synthesis=self.settings),
            shares=self._shares,
        )

    @property
    def _shares(self) -> Shares:
        if self.bank is not None:
            return Shares(self.probability, refresh=0.0)
        return Shares(self.probability, negatives=self.negatives, defects=self.defects)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_painter": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _share(self._epoch)


def _share(epoch: Tensor) -> None:
    """Put the epoch where worker processes that already run see it change."""
    epoch.share_memory_()  # type: ignore[no-untyped-call]


def _open_bank(folder: str | Path, defects: list[str] | None) -> PairBank:
    from anomalib_stage.plugin.pairs.bank import PairBank  # loads anomalib

    return PairBank.open(folder, defects=defects)


def _hash_pixels(image: Tensor) -> str:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).hexdigest()
