# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The user's pictures, read and divided: good ones, defects to learn from, and defects that only judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from anomalib_stage.files.images import digest_of_pictures, find_images, read_image
from anomalib_stage.training.data.background_swap import Backgrounds
from anomalib_stage.training.data.dataset import RealDefects
from anomalib_stage.training.data.load import load_examples, load_images, read_groups, read_include
from anomalib_stage.training.data.near_duplicates import small_copy
from anomalib_stage.training.data.orientation import directed_kinds, directed_surface
from anomalib_stage.training.data.split import split_held_out

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.training.data.example import Example

__all__ = ["Material", "Rotate", "load_material"]

Rotate = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Material:
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
        """Defects for sheets: those held out, and of kinds without them those that are learnt."""
        kept = {example.kind for example in self.held_out}
        return [*self.held_out, *(example for example in self.learnt if example.kind not in kept)]

    @property
    def digest(self) -> str:
        """Digest of all pictures, masks, kinds and groups, and of which are held out."""
        sides = (self.learnt, self.held_out)
        named = repr([[(example.kind, example.name, example.group) for example in side] for side in sides])
        defects = [array for side in sides for example in side for array in (example.image, example.mask)]
        return digest_of_pictures(np.frombuffer(named.encode(), dtype=np.uint8), *defects, *self.good)

    def parts(self) -> dict[str, list[Example]]:
        """All real defects, those held out too, each with its own mask."""
        return RealDefects([*self.learnt, *self.held_out]).by_kind


def load_material(
    *,
    normal: Path | None,
    defects: Path | None,
    masks: Path | None,
    include: Path | None,
    rename: Mapping[str, str] | None,
    groups: Path | None,
    share: float,
    rotate: Rotate,
    seed: int,
) -> Material:
    """Read everything that :func:`~anomalib_stage.training.fit.fit` is given; see there for the arguments.

    Raises:
        DataError: If a folder, image, mask or JSON file is missing or unreadable.
    """
    chosen = read_include(include) if include else None
    examples: list[Example] = []
    if defects:
        examples = load_examples(
            defects, masks, include=chosen, rename=rename or {}, groups=read_groups(groups, defects=defects)
        )
    good = load_images(normal) if normal else []
    learnt, held_out = split_held_out(examples, share=share, seed=seed)
    whole = RealDefects(examples)
    directed = rotate == "never" or (rotate == "auto" and directed_surface(good))
    straight = set(whole.kinds) if directed else directed_kinds(whole.by_kind) if rotate == "auto" else set()
    backgrounds = Backgrounds(good) if good else None
    real = RealDefects(learnt, backgrounds=backgrounds, straight=straight) if learnt else None
    evaluated = _copies(defects, read_include(include, side="eval")) if defects and include else {}
    return Material(learnt, held_out, good, real, directed, evaluated)


def _copies(defects: Path, stems: Mapping[str, Collection[str]]) -> dict[str, NDArray[np.float32]]:
    """Small copies of the named defect images."""
    chosen = [path for path in find_images(defects) if path.stem in stems.get(path.parent.name, ())]
    return {f"{path.parent.name}/{path.stem}": small_copy(read_image(path)) for path in chosen}
