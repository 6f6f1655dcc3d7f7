# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageDemo: a small rendered data set, so that the whole way can be tried without data and without a network."""

from __future__ import annotations

import logging
from pathlib import Path

from anomalib.data import Folder

from anomalib_stage.errors import DataError
from anomalib_stage.plugin.data.demo_pictures import write_pictures
from anomalib_stage.plugin.data.demo_plan import DemoPlan

__all__ = ["StageDemo"]

logger = logging.getLogger(__name__)


class StageDemo(Folder):
    """Rendered surface tiles: good ones to train on, good and defective ones with masks to test on.

    One large surface is rendered and cut into tiles that do not overlap, as an inspection line sees one material. Half
    of the test tiles get a defect, one defect after the other. The same arguments give the same pictures.

    The pictures are rendered once, into a folder below ``root`` that is named after the arguments. The defects come
    from the renderer that the default bundle has learnt from, with other seeds: this data set shows that everything
    works, not how well it works on real defects.

    Args:
        family (str): Surface: ``plain``, ``brushed_metal``, ``cast``, ``machined``, ``stone``, ``leather``, ``woven``,
            ``wood``, ``tracks``, ``printed``, ``perforated`` or ``tiled``. Defaults to ``"brushed_metal"``.
        image_size (int): Side of the square pictures in pixels, 32 to 1024. Defaults to ``128``.
        train_count (int): Number of good pictures to train on. Defaults to ``64``.
        test_count (int): Number of pictures to test on, at least 2. Defaults to ``40``.
        root (Path | str): Folder that the pictures are rendered into. Defaults to ``"./datasets/stage_demo"``.
        seed (int): Another seed gives another material and other defects. Defaults to ``0``.
        train_batch_size (int): Pictures in a training batch. Defaults to ``8``.
        eval_batch_size (int): Pictures in a validation or test batch. Defaults to ``8``.
        num_workers (int): Processes that read pictures; 0 reads in the main process. Defaults to ``0``.

    Raises:
        InputError: If the family is unknown, or a number is too small or too large.

    Example:
        >>> datamodule = StageDemo(family="wood", train_count=8, test_count=4)
        >>> # datamodule.setup() renders the pictures
    """

    def __init__(
        self,
        *,
        family: str = "brushed_metal",
        image_size: int = 128,
        train_count: int = 64,
        test_count: int = 40,
        root: Path | str = "./datasets/stage_demo",
        seed: int = 0,
        train_batch_size: int = 8,
        eval_batch_size: int = 8,
        num_workers: int = 0,
    ) -> None:
        self._plan = DemoPlan(family, image_size=image_size, train_count=train_count, test_count=test_count, seed=seed)
        self._folder = Path(root) / self._plan.folder_name
        defects = self._plan.defects
        super().__init__(
            name="StageDemo",
            root=self._folder,
            normal_dir="train/good",
            normal_test_dir="test/good",
            abnormal_dir=[f"test/{defect}" for defect in defects],
            mask_dir=[f"ground_truth/{defect}" for defect in defects],
            train_batch_size=train_batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            val_split_mode="same_as_test",
            seed=seed,
        )

    def prepare_data(self) -> None:
        """Render the pictures, unless they are there; one process of a training does this."""
        if self._folder.is_dir():
            return
        logger.info("StageDemo: rendering %d pictures into %s", self._plan.count, self._folder)
        try:
            write_pictures(self._plan, self._folder)
        except OSError as error:
            msg = f"cannot write the demo pictures to {self._folder}: {error}; set root to a folder that can be written"
            raise DataError(msg) from error

    def _setup(self, _stage: str | None = None) -> None:
        self.prepare_data()  # where setup() is called without a trainer
        super()._setup(_stage)
