# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageFolder: trains on good images and pregenerated pairs, tests on real defects."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from anomalib.data import Folder
from anomalib.data.utils import DirType, LabelName, Split
from anomalib.data.utils.path import resolve_path
from torch.utils.data import DataLoader

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.checks import check_defects, check_seed
from anomalib_stage.plugin.data.collate import train_collate
from anomalib_stage.plugin.data.good_samples import select_good
from anomalib_stage.plugin.data.pair_use import takes_pairs
from anomalib_stage.plugin.data.pipeline_order import check_pipeline, find_transforms
from anomalib_stage.plugin.data.sampler import EpochSampler, find_next_epoch
from anomalib_stage.plugin.data.transform import StageTransform
from anomalib_stage.plugin.image_lists import list_held_back_images, list_training_images
from anomalib_stage.plugin.pairs.bank import PairBank
from anomalib_stage.plugin.pairs.readable_images import check_data_module
from anomalib_stage.plugin.pairs.resize import keep_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch.utilities.types import TRAIN_DATALOADERS

__all__ = ["StageFolder"]

logger = logging.getLogger(__name__)

OWNER = "StageFolder"


class StageFolder(Folder):
    """Good images and pregenerated pairs to train on, real defects to test on.

    An anomalib ``Folder`` whose training split also has the pairs that ``anomalib-stage pregenerate`` wrote. An epoch
    has every good image once and ``ratio`` pairs for each of them, other ones in each epoch until all have had their
    turn. Labels are taken from the masks, and masks are resized so that no defect gets lost. Pairs that were painted
    into good images which the splits hold back for validation or test are left out, also those of a ``StageTransform``;
    images are recognised by name and content.

    For models that read masks and labels: Supersimplenet and UniNet. Draem and its like would take the pairs for clean
    images; beside ``StageAugment(bank=...)``, which hands pairs to them in the right place, they get the good images
    alone, and without it they are refused, as are models that learn what is normal from every image.

    Args:
        normal_dir (str | Path | Sequence[str | Path]): Folders of good images to train on.
        stage_dir (str | Path | None): Folder of pairs, of either layout; relative to ``root`` as the others. ``None``:
            no pairs, for anomalies from a ``StageTransform`` in ``train_augmentations``. Defaults to ``None``.
        name (str): Name of the data set, used for the folder of results. Defaults to ``"StageFolder"``.
        ratio (float): Pairs for each good image in an epoch, 0 or more: 1 makes half of the training anomalous.
            Defaults to ``1.0``.
        defects (list[str] | None): Defects of pairs to use, such as ``[scratch, stain]``; ``None`` for all.
            Defaults to ``None``.
        seed (int): Seed of the splits, of the choice of pairs and of the order of samples. Defaults to ``0``.
        **folder (Any): Arguments of anomalib's ``Folder``: ``root``, ``abnormal_dir``, ``normal_test_dir``,
            ``mask_dir``, batch sizes, ``num_workers``, augmentations, splits.

    Raises:
        InputError: If an argument cannot be used.

    Example:
        >>> datamodule = StageFolder(  # doctest: +SKIP
        ...     root="datasets/tiles", normal_dir="train/good", stage_dir="pairs",
        ...     normal_test_dir="test/good", abnormal_dir="test/crack", mask_dir="ground_truth/crack",
        ... )
    """

    def __init__(
        self,
        normal_dir: str | Path | Sequence[str | Path],
        stage_dir: str | Path | None = None,
        *,
        name: str = "StageFolder",
        ratio: float = 1.0,
        defects: list[str] | None = None,
        seed: int = 0,
        **folder: Any,  # noqa: ANN401 - checked by Folder
    ) -> None:
        if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0.0 <= ratio < math.inf:
            msg = f"{OWNER}: ratio is {ratio!r}; give the number of pairs for each good image, 0 or more"
            raise InputError(msg)
        check_defects(defects, owner=OWNER)
        check_seed(seed, owner=OWNER)
        super().__init__(name=name, normal_dir=normal_dir, seed=seed, **folder)
        self.stage_dir, self.ratio, self.defects = stage_dir, ratio, defects
        self._coming_epoch = 0

    def setup(self, stage: str | None = None) -> None:
        """Make the splits, and add the pairs to the training split if there is a training.

        Args:
            stage (str | None): ``fit``, ``validate``, ``test``, ``predict``, or None for all.

        Raises:
            UnsupportedModelError: If the model would take the pairs for good images.
            DataError: If the pairs cannot be read, anomalib misreads an image to train on or to validate with, or
                defects or masks lie among the good images.
            InputError: If there are none of the defects asked for, or an augmentation would be taken by good images
                alone.
        """
        super().setup(stage)
        if stage not in (None, "fit"):
            return
        self.train_data.samples = select_good(self.train_data.samples, self._good_folders, owner=OWNER)
        for transform in self._find_transforms():
            check_pipeline(self.train_augmentations, transform, whole=transform.bank is not None)
            transform.restrict(list_training_images(self), held_back=list_held_back_images(self))
        check_data_module(self)
        if self._takes_pairs() and not self.train_data.has_anomalous:
            self._add_pairs()
        self.train_data.samples.attrs["task"] = "segmentation"  # good images get empty masks

    def train_dataloader(self) -> TRAIN_DATALOADERS:
        """Return the loader of the training split: good images and pairs in random order.

        A trainer says which epoch comes. Without one the epochs are counted here, so that a loop of one's own gets
        other pairs in each, whether it keeps the loader or asks for another.
        """
        anomalous = self.train_data.samples["label_index"] == LabelName.ABNORMAL
        places = [[int(place) for place in anomalous.index[which]] for which in (~anomalous, anomalous)]
        sampler = EpochSampler(
            *places, count=round(self.ratio * len(places[0])), seed=int(self.seed or 0), on_epoch=self._announce
        )
        coming = self._coming_epoch if self.trainer is None else find_next_epoch(self.trainer)
        sampler.set_epoch(coming)  # worker processes read before Lightning says it
        return DataLoader(
            self.train_data,
            batch_size=self.train_batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=self.external_collate_fn or train_collate,
        )

    @property
    def _good_folders(self) -> list[Path]:
        given = [self.normal_dir] if isinstance(self.normal_dir, str | Path) else self.normal_dir
        return [resolve_path(folder, self.root) for folder in given]

    @property
    def _bank_folder(self) -> Path | None:
        return None if self.stage_dir is None else resolve_path(self.stage_dir, self.root)

    def _update_augmentations(self) -> None:
        super()._update_augmentations()
        self.train_data.augmentations = keep_masks(self.train_data.augmentations)

    def _find_transforms(self) -> list[StageTransform]:
        return find_transforms(self.train_augmentations, StageTransform)

    def _announce(self, epoch: int) -> None:
        self._coming_epoch = epoch + 1
        for transform in self._find_transforms():
            transform.set_epoch(epoch)

    def _takes_pairs(self) -> bool:
        """Say whether pairs belong into this training; refuse a model that anomalous images would harm."""
        wanted = self.stage_dir is not None and self.ratio > 0
        return takes_pairs(
            self.trainer, wanted=wanted, transforms=bool(self._find_transforms()), bank=self._bank_folder or "FOLDER"
        )

    def _add_pairs(self) -> None:
        assert self._bank_folder is not None  # the caller checked
        good = self.train_data.samples
        found = PairBank.open(self._bank_folder, defects=self.defects)
        bank = found.within(good["image_path"], held_back=list_held_back_images(self))
        wanted = round(self.ratio * len(good))
        if wanted > len(bank):
            logger.warning("StageFolder: an epoch has %d pairs, and there are %d: some come again", wanted, len(bank))
        columns = {
            "image_path": [str(pair.image) for pair in bank.pairs],
            "mask_path": [str(pair.mask) for pair in bank.pairs],
            "label": DirType.ABNORMAL.value,
            "label_index": pd.array([int(LabelName.ABNORMAL)] * len(bank), dtype="Int64"),
            "split": Split.TRAIN.value,
        }
        self.train_data.samples = pd.concat([good, pd.DataFrame(columns)], ignore_index=True)
        logger.info(
            "StageFolder: %d good images and %d pairs to train on, %d pairs of held-back images left out",
            len(good),
            len(bank),
            len(found) - len(bank),
        )
