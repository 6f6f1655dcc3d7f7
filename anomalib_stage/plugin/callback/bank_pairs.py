# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Puts pregenerated pairs into the batches of a training."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.callback.as_read import AsRead
from anomalib_stage.plugin.callback.augmentations import find_augmentations, find_model_resize, list_unknown_steps
from anomalib_stage.plugin.image_lists import list_held_back_images, list_training_images
from anomalib_stage.plugin.pairs.bank import PairBank, read_clean
from anomalib_stage.plugin.pairs.merge import is_same_outside
from anomalib_stage.plugin.pairs.resize import resize_image, resize_mask
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor
    from torchvision.transforms import v2

    from anomalib_stage.plugin.callback.augmentations import Augmentations
    from anomalib_stage.plugin.pairs.bank import BankPair
    from anomalib_stage.plugin.pairs.choice import Choice

__all__ = ["BankPairs", "open_bank_pairs"]

logger = logging.getLogger(__name__)

TRIES = 8
"""How often another pair is drawn for an image whose model would not see the defect."""

READERS = 4
"""Threads that read the files of a batch; decoding leaves Python's lock alone."""


class BankPairs:
    """Draws pairs for the images of a training, each from the image's own seed.

    Args:
        bank (PairBank): The pairs.
        like (v2.Resize | None): How the data module resizes images; None: bilinear and smoothed.
        visible (Callable | None): Takes images and masks and says, ``(B,)`` bool, whether the model sees the defect.
        augmentations (Augmentations | None): What the data set does to its images, done to pairs too; None: nothing but
            the resize.
    """

    def __init__(
        self,
        bank: PairBank,
        *,
        like: v2.Resize | None = None,
        visible: Callable[[Tensor, Tensor], Tensor] | None = None,
        augmentations: Augmentations | None = None,
    ) -> None:
        self.bank, self.like, self.visible, self.augmentations = bank, like, visible, augmentations
        self._files: dict[str, Path] = {}
        self._as_read = AsRead(like) if augmentations is None else None

    def learn(self, paths: Iterable[str]) -> None:
        """Remember where the good images are that pairs were painted into; the others are of no interest."""
        for path in paths:
            source = self.bank.find_source(path)
            if source is not None:
                self._files.setdefault(source, Path(path))

    def check_known(self, path: str) -> None:
        """Refuse to go on if not a single clean original is known; ``path`` is an image that trains.

        Raises:
            InputError: Names the image and the bank.
        """
        if not self._files:
            msg = (
                f"StageAugment: no pair of the bank {self.bank.folder} was painted into an image of this training "
                f"(pairs: into {self.bank.pairs[0].source}; training: {path}; an image has the same name and the same "
                "content), and this model needs the clean originals; pregenerate from the good images that are trained "
                "on"
            )
            raise InputError(msg)

    def check_batch(self, images: Tensor, *, paths: Sequence[str] | None) -> None:
        """Refuse images that went through steps which pairs would not go through.

        Args:
            images (Tensor): ``(B, 3, H, W)`` in [0, 1].
            paths (Sequence[str] | None): File of each image, if known.

        Raises:
            InputError: Names the first image that is not what its file holds.
        """
        if self._as_read is not None:
            self._as_read.check(images, paths)

    def replace_images(self, images: Tensor, choices: Sequence[Choice], *, seeds: Sequence[int]) -> tuple[Pair, int]:
        """Draw pairs that take the place of images, for models that read masks and labels.

        Args:
            images (Tensor): ``(B, 3, H, W)`` in [0, 1].
            choices (Sequence[Choice]): What each image gets.
            seeds (Sequence[int]): One for each image.

        Returns:
            tuple[Pair, int]: The batch with the pairs, at the size of the images; and how many images stay good
            because the model would have seen no defect of any pair tried.
        """
        pair = Pair.untouched(images)
        waiting = [i for i, choice in enumerate(choices) if choice.source == "bank"]
        for attempt in range(TRIES):
            if not waiting:
                break
            found = self._draw({i: self._pick(seeds[i], attempt=attempt) for i in waiting}, images, seeds, attempt)
            seen = self._seen(found, images)
            for i, one, visible in zip(waiting, found, seen, strict=True):
                if visible:
                    pair.replace_image(i, *one)
            waiting = [i for i, visible in zip(waiting, seen, strict=True) if not visible]
        return pair, len(waiting)

    def pair_with_clean(
        self, images: Tensor, choices: Sequence[Choice], *, seeds: Sequence[int], paths: Sequence[str]
    ) -> tuple[Tensor, Pair]:
        """Draw pairs for a model that compares each anomalous image with its clean original.

        Where an image of the batch is not, pixel by pixel, the good image that its pair was painted into (the data set
        augments images, or no pair was painted into this one), that good image takes its place in the batch. Both go
        through the data set's augmentations, with the same draws.

        Args:
            images (Tensor): ``(B, 3, H, W)`` in [0, 1].
            choices (Sequence[Choice]): What each image gets.
            seeds (Sequence[int]): One for each image.
            paths (Sequence[str]): File of each image.

        Returns:
            tuple[Tensor, Pair]: The clean images, and the batch with the pairs painted into them.

        Raises:
            InputError: If it is not known where the good images of the bank are.
            DataError: If a pair and its good image differ outside the mask.
        """
        self.learn(paths)
        clean = images.clone()
        chosen = [i for i, choice in enumerate(choices) if choice.source == "bank"]
        if chosen:
            self.check_known(paths[0])
        sources = {i: self.bank.find_source(paths[i]) for i in chosen}
        lay_out = self._lay_out_as_stored if self.augmentations is None else self._lay_out_augmented
        found = lay_out(images, sources, seeds=seeds, paths=paths)
        for i, (own, _, _) in found.items():
            clean[i] = own.to(clean)
        pair = Pair.untouched(clean)
        for i, (_, *painted) in found.items():
            pair.replace_image(i, *painted)
        return clean, pair

    def _lay_out_as_stored(
        self, images: Tensor, sources: dict[int, str | None], *, seeds: Sequence[int], paths: Sequence[str]
    ) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """Return clean image, pair and mask for each image of the batch that gets a pair."""
        pairs = {i: self._pick(seeds[i], source=source) for i, source in sources.items()}
        ready = {i: pair for i, pair in pairs.items() if pair.source in self._files}
        read = zip(ready, self._read(list(ready.values()), size=_size(images)), strict=True)
        found = {}
        for i, (image, mask) in read:
            own = images[i]
            if sources[i] is None or not is_same_outside(image, mask, own.to(image)):
                if self._as_read is not None and sources[i] is not None:
                    self._as_read.compare(own, paths[i])
                own = self._original(ready[i], image, mask)
            found[i] = (own, image, mask)
        return found

    def _lay_out_augmented(
        self, images: Tensor, sources: dict[int, str | None], *, seeds: Sequence[int], paths: Sequence[str]
    ) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """Return augmented clean image, pair and mask for each image that gets a pair, equal outside the mask."""
        del paths
        found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        waiting = list(sources)
        for attempt in range(TRIES):
            pairs = {i: self._pick(seeds[i], source=sources[i], attempt=attempt) for i in waiting}
            ready = {i: pair for i, pair in pairs.items() if pair.source in self._files}
            read = zip(ready, self._read(list(ready.values())), strict=True)
            for i, (image, mask) in read:
                seed, own = derive_seed(seeds[i], "augment", attempt), self._original(ready[i], image, mask)
                clean, marked = self._augment(own, mask, images, seed=seed)
                shown, _ = self._augment(image, mask, images, seed=seed)
                if bool(marked.any()):
                    found[i] = (clean, torch.where(marked, shown, clean), marked)
            waiting = [i for i in waiting if i not in found]
        return found

    def _pick(self, seed: int, *, source: str | None = None, attempt: int = 0) -> BankPair:
        pairs = self.bank.list_painted_into(source)
        return pairs[int(numpy_generator(seed, "pair", attempt).integers(len(pairs)))]

    def _draw(
        self, picked: dict[int, BankPair], images: Tensor, seeds: Sequence[int], attempt: int
    ) -> list[tuple[Tensor, Tensor]]:
        """Read pairs at the size of the batch, as the data set would have handed them over."""
        if self.augmentations is None:
            return self._read(list(picked.values()), size=_size(images))
        read = zip(picked, self._read(list(picked.values())), strict=True)
        return [self._augment(*pair, images, seed=derive_seed(seeds[i], "augment", attempt)) for i, pair in read]

    def _augment(self, image: Tensor, mask: Tensor, images: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Augment a picture and its mask, and bring them to the size of the batch if that was not among the steps."""
        assert self.augmentations is not None  # the callers checked
        shown, marked = self.augmentations(image, mask, seed=seed)
        return resize_image(shown, _size(images), like=self.like), resize_mask(marked, _size(images))

    def _read(self, pairs: Sequence[BankPair], size: tuple[int, int] | None = None) -> list[tuple[Tensor, Tensor]]:
        """Read pairs at a size; None: as stored."""
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(partial(self.bank.read, size=size, like=self.like), pairs))

    def _seen(self, found: Sequence[tuple[Tensor, Tensor]], images: Tensor) -> list[bool]:
        if self.visible is None:
            return [bool(mask.any()) for _, mask in found]
        shown, masks = (torch.stack(parts) for parts in zip(*found, strict=True))
        return [bool(seen) for seen in self.visible(shown.to(images), masks.to(images.device))]

    def _original(self, pair: BankPair, image: Tensor, mask: Tensor) -> Tensor:
        file = self._files[pair.source]
        clean = read_clean(file, size=_size(image), like=self.like)
        if not is_same_outside(image, mask, clean):
            msg = (
                f"{pair.image} was not painted into {file}: they differ outside the mask; pregenerate from the good "
                "images that are trained on, 8 bits a channel"
            )
            raise DataError(msg)
        return clean


def open_bank_pairs(
    folder: str | Path,
    *,
    trainer: Trainer,
    model: LightningModule,
    defects: Sequence[str] | None,
    visible: Callable[[Tensor, Tensor], Tensor] | None,
) -> BankPairs:
    """Open a bank for one training.

    Pairs that were painted into images which the data module holds back for validation or test are left out.

    Args:
        folder (str | Path): Folder of the bank.
        trainer (Trainer): Knows the data module, if there is one.
        model (LightningModule): Knows how images are resized.
        defects (Sequence[str] | None): Defects to use; None for all.
        visible (Callable | None): What the model sees; None: it compares pairs with their clean originals.

    Returns:
        Placer: Ready for the first batch.

    Raises:
        DataError: If the bank cannot be read.
        InputError: If it does not have the defects, or none of the clean originals that the model needs.
    """
    data = getattr(trainer, "datamodule", None)
    paths = list_training_images(data)
    bank = PairBank.open(folder, defects=defects).within(paths, held_back=list_held_back_images(data))
    if visible is None:
        bank.check_unambiguous()
    augmentations = find_augmentations(trainer, model)
    if augmentations is not None and (unknown := list_unknown_steps(trainer)):
        logger.warning(
            "StageAugment: pairs of the bank take the steps of the data set's augmentations; whether %s changes good "
            "images besides is not known, and pairs would not take such a step",
            " and ".join(unknown),
        )
    placer = BankPairs(bank, like=find_model_resize(model), visible=visible, augmentations=augmentations)
    placer.learn(paths)
    if visible is None and paths:
        placer.check_known(paths[0])
    return placer


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]
