# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The user's pictures, read and divided: good ones, defects to learn from, and defects that only judge."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.training.data.defect_files import list_defects, name_pictures
from anomalib_stage.training.data.load import load_pictures
from anomalib_stage.training.data.near_duplicates import shrink_copy
from anomalib_stage.training.data.orientation import find_directed_defects, has_direction
from anomalib_stage.training.data.picture_lists import read_groups, read_include
from anomalib_stage.training.data.regions.background_swap import Backgrounds
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.split import split_held_out

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.files.image_reader import ImageReader
    from anomalib_stage.training.data.regions.example import Example

__all__ = ["Rotate", "TrainingData", "load_training_data"]

Rotate = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class TrainingData:
    """What there is to learn from.

    Args:
        learnt (list[Example]): Whole images with real defects to train on.
        held_out (list[Example]): Whole images with real defects that only judge.
        good (list[NDArray[np.uint8]]): Good images, ``(H, W, 3)`` RGB.
        real (RealDefects | None): Training regions of ``learnt``; None if there are no defects.
        directed (bool): The surface is not turned by quarters.
        evaluated (dict[str, NDArray[np.float32]]): Small copies of the pictures that are kept for the test, by name.
    """

    learnt: list[Example]
    held_out: list[Example]
    good: list[NDArray[np.uint8]]
    real: RealDefects | None
    directed: bool
    evaluated: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def shown(self) -> list[Example]:
        """Defects for sheets: those held out, and of defects without them those that are learnt."""
        judged = {example.defect for example in self.held_out}
        return [*self.held_out, *(example for example in self.learnt if example.defect not in judged)]

    @property
    def digest(self) -> str:
        """Digest of all pictures, masks, defects and groups, and of which are held out."""
        sides = (self.learnt, self.held_out)
        named = repr([[(example.defect, example.name, example.group) for example in side] for side in sides])
        pictures = [array for side in sides for example in side for array in (example.image, example.mask)]
        return digest_pictures(np.frombuffer(named.encode(), dtype=np.uint8), *pictures, *self.good)

    def rename(self, names: Mapping[str, str]) -> TrainingData:
        """Return the same pictures with some defects under other names, ``{old: new}``."""
        if not names:
            return self
        learnt, held_out = (
            [replace(example, defect=names.get(example.defect, example.defect)) for example in side]
            for side in (self.learnt, self.held_out)
        )
        straight = [names.get(defect, defect) for defect in (self.real.straight if self.real else ())]
        real = RealDefects(learnt, straight=straight) if learnt else None
        return replace(self, learnt=learnt, held_out=held_out, real=real)

    def list_parts(self) -> dict[str, list[Example]]:
        """All real defects, those held out too, each with its own mask."""
        return RealDefects([*self.learnt, *self.held_out]).group_by_defect


def load_training_data(
    *,
    normal: Path | None,
    defect_dir: Path | None,
    defect_mask_dir: Path | None,
    include: Path | None,
    rename: Mapping[str, str] | None,
    groups: Path | None,
    share: float,
    rotate: Rotate,
    seed: int,
    white_level: int | None = None,
) -> TrainingData:
    """Read everything that :func:`~anomalib_stage.training.fit.fit` is given; see there for the arguments.

    Raises:
        DataError: If a folder, image, mask or JSON file is missing or unreadable.
    """
    chosen = read_include(include) if include else None
    examples, good, reader = load_pictures(
        normal=normal,
        defect_dir=defect_dir,
        defect_mask_dir=defect_mask_dir,
        include=chosen,
        rename=rename,
        groups=read_groups(groups, defect_dir=defect_dir) if defect_dir else None,
        white_level=white_level,
    )
    learnt, held_out = split_held_out(examples, share=share, seed=seed)
    whole = RealDefects(examples)
    directed = rotate == "never" or (rotate == "auto" and has_direction(good))
    straight = (
        set(whole.defects) if directed else find_directed_defects(whole.group_by_defect) if rotate == "auto" else set()
    )
    backgrounds = Backgrounds(good) if good else None
    real = RealDefects(learnt, backgrounds=backgrounds, straight=straight) if learnt else None
    kept = read_include(include, side="eval") if include else {}
    evaluated = _shrink_evaluated(defect_dir, kept, reader) if defect_dir and include else {}
    return TrainingData(learnt, held_out, good, real, directed, evaluated)


def _shrink_evaluated(
    defect_dir: Path, stems: Mapping[str, Collection[str]], reader: ImageReader
) -> dict[str, NDArray[np.float32]]:
    """Small copies of the named defect images; of all that a stem could mean."""
    paths = list_defects(defect_dir)
    names = name_pictures(paths, defect_dir, rename={})
    chosen = [path for path in paths if path.stem in stems.get(path.parent.name, ())]
    return {f"{path.parent.name}/{names[path]}": shrink_copy(reader.read(path)) for path in chosen}
