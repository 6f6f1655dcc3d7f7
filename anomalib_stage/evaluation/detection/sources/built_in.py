# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sources by name: the free alternatives to a bundle, and real defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.evaluation.detection.sources.croppaste import crop_paste
from anomalib_stage.evaluation.detection.sources.cutpaste import cut_paste
from anomalib_stage.evaluation.detection.sources.perlin import paint_perlin
from anomalib_stage.evaluation.detection.sources.real import gather_real

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomalib_stage.evaluation.picture_set import PictureSet

__all__ = ["BUILT_IN"]

BUILT_IN: dict[str, Callable[..., PictureSet]] = {
    "cutpaste": cut_paste,
    "croppaste": crop_paste,
    "perlin": paint_perlin,
    "real": gather_real,
}
"""Sources by name; every other name is a bundle."""
