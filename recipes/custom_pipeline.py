# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageTransform in another data module, beside augmentations of your own.

    anomalib-stage pregenerate --data datasets/tiles/train/good --out datasets/tiles/pairs --count 1000
    python recipes/custom_pipeline.py datasets/tiles

Folder is an example: any data module of anomalib will do that hands out masks, such as MVTecAD, and so will one of your
own. The model must read masks and labels, as SuperSimpleNet and UniNet do; nobody checks that here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import Supersimplenet
from lightning.pytorch import Callback
from torchvision.transforms import v2

from anomalib_stage import StageTransform, stage_collate


class Epochs(Callback):
    """Tells the transform which epoch comes: then any number of worker processes gives the same pairs."""

    def __init__(self, transform: StageTransform, first: int = 0) -> None:
        self.transform = transform
        transform.set_epoch(first)  # a resumed training begins with another one

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002 - Lightning's
        """Before the worker processes of the next epoch start."""
        self.transform.set_epoch(trainer.current_epoch + 1)


def pipeline(root: Path, *, num_workers: int = 4) -> tuple[Folder, Epochs]:
    """Return a data module whose training images get pairs, and the callback that belongs to it."""
    painting = StageTransform(bank=root / "pairs", probability=0.5, seed=0)
    datamodule = Folder(
        name="tiles",
        root=root,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir="test/crack",
        mask_dir="ground_truth/crack",
        num_workers=num_workers,
        # to the model's size first: StageTransform's own resize loses no thin scratch of a mask, the model's would
        train_augmentations=v2.Compose([v2.Resize((256, 256)), painting, v2.RandomHorizontalFlip(0.5)]),
    )
    datamodule.external_collate_fn = stage_collate  # labels follow the masks
    return datamodule, Epochs(painting)


if __name__ == "__main__":
    tiles, epochs = pipeline(Path(sys.argv[1]))
    Engine(callbacks=[epochs], max_epochs=300).train(Supersimplenet(supervised=True), datamodule=tiles)
