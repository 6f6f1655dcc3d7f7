# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageDemo: a small rendered data set, so that the whole way can be tried without data and without a network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from anomalib.data import Folder

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.atomic import replace_whole
from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES, DEFECT_SHAPES
from anomalib_stage.rendering.defects import paint_defect
from anomalib_stage.rendering.surfaces import SURFACES, render_surface
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.synthesis.masks.extent import draw_extent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["FAMILIES", "StageDemo"]

logger = logging.getLogger(__name__)

FAMILIES = tuple(name for name in SURFACES if name != "object")
"""Surfaces that fill the picture, so that they can be cut into tiles."""

DEFECTS = tuple(defect for defect in DEFECT_NAMES if defect != "good")

_FORMAT = 1  # part of the folder's name: raise it when the pictures change


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
        self._plan = _Plan(family, image_size=image_size, train_count=train_count, test_count=test_count, seed=seed)
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
            _write_pictures(self._plan, self._folder)
        except OSError as error:
            msg = f"cannot write the demo pictures to {self._folder}: {error}; set root to a folder that can be written"
            raise DataError(msg) from error

    def _setup(self, _stage: str | None = None) -> None:
        self.prepare_data()  # where setup() is called without a trainer
        super()._setup(_stage)


@dataclass(frozen=True)
class _Plan:
    """Everything that the pictures depend on."""

    family: str
    _: dataclasses.KW_ONLY
    image_size: int
    train_count: int
    test_count: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        if self.family not in FAMILIES:
            msg = f"unknown surface family {self.family!r}; give one of {', '.join(FAMILIES)}"
            raise InputError(msg)
        for name, low, high in (("image_size", 32, 1024), ("train_count", 1, 4096), ("test_count", 2, 4096)):
            value = getattr(self, name)
            if not low <= value <= high:
                msg = f"StageDemo got {name}={value}; it must be {low} to {high}"
                raise InputError(msg)

    @property
    def count(self) -> int:
        return self.train_count + self.test_count

    @property
    def test_defects(self) -> list[str]:
        """Defect of each test picture, ``good`` first."""
        bad = self.test_count // 2
        return ["good"] * (self.test_count - bad) + [DEFECTS[i % len(DEFECTS)] for i in range(bad)]

    @property
    def defects(self) -> list[str]:
        """Defects that occur, in the order of anomalib's sorted file names."""
        return sorted(set(self.test_defects) - {"good"})

    @property
    def folder_name(self) -> str:
        text = json.dumps([_FORMAT, dataclasses.asdict(self)], sort_keys=True)
        return f"{self.family}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


def _write_pictures(plan: _Plan, folder: Path) -> None:
    """Render into a folder beside, then rename: another process sees all pictures or none."""
    try:
        with replace_whole(folder) as scratch:
            for name, picture in _render_pictures(plan):
                path = scratch / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError:
        if not folder.is_dir():  # otherwise another process was first, with the same pictures
            raise


def _render_pictures(plan: _Plan) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield names and pictures as OpenCV writes them: BGR, or one channel for masks."""
    tiles = _tiles(plan)
    for index in range(plan.train_count):
        yield f"train/good/{index:03d}.png", _bgr(next(tiles))
    for index, defect in enumerate(plan.test_defects):
        tile = next(tiles)
        if defect != "good":
            tile, mask = _defective(tile, defect, rng=numpy_generator(plan.seed, "demo defect", plan.family, index))
            yield f"ground_truth/{defect}/{index:03d}_mask.png", mask.astype(np.uint8) * 255
        yield f"test/{defect}/{index:03d}.png", _bgr(tile)


def _tiles(plan: _Plan) -> Iterator[NDArray[np.float32]]:
    """Cut one rendered surface into tiles, in random order: ``(image_size, image_size, 3)`` each, in [0, 1]."""
    rng = numpy_generator(plan.seed, "demo surface", plan.family)
    columns = math.ceil(math.sqrt(plan.count))
    rows, side = math.ceil(plan.count / columns), plan.image_size
    surface = render_surface((rows * side, columns * side), rng=rng, family=plan.family)
    for place in rng.permutation(rows * columns):
        top, left = (int(step) * side for step in divmod(place, columns))
        yield surface[top : top + side, left : left + side]


def _defective(
    tile: NDArray[np.float32], defect: str, *, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    size = (tile.shape[0], tile.shape[1])
    extent = draw_extent(size, low=0.15, high=0.4, minimum=8, rng=rng)
    mask = draw_mask(str(rng.choice(DEFECT_SHAPES[defect])), size, extent=extent, rng=rng)
    return paint_defect(np.ascontiguousarray(tile), mask, defect=defect, rng=rng), mask


def _bgr(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray((picture[..., ::-1] * 255).round(), dtype=np.uint8)
