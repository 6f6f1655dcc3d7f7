# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which pictures the demo data set has."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from anomalib_stage.errors import InputError
from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES
from anomalib_stage.rendering.surfaces import SURFACES

__all__ = ["DEFECTS", "FAMILIES", "DemoPlan"]

FAMILIES = tuple(name for name in SURFACES if name != "object")
"""Surfaces that fill the picture, so that they can be cut into tiles."""

DEFECTS = tuple(defect for defect in DEFECT_NAMES if defect != "good")

FORMAT = 1
"""Part of the folder's name: raise it when the pictures change."""


@dataclass(frozen=True)
class DemoPlan:
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
        """Number of pictures in all."""
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
        """Name of the folder of these pictures: the family and a digest of everything."""
        text = json.dumps([FORMAT, dataclasses.asdict(self)], sort_keys=True)
        return f"{self.family}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
