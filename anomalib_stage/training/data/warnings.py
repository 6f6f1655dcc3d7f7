# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is doubtful about the user's pictures, said before time is spent on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE
from anomalib_stage.training.data.mask_warnings import list_mask_warnings, name_some
from anomalib_stage.training.data.near_duplicates import find_near_duplicates, shrink_copy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.training.data.regions.example import Example
    from anomalib_stage.training.data.training_data import TrainingData

__all__ = ["list_warnings"]

COMMON = 50
"""Good images that say what all pictures have in common."""


def list_warnings(training_data: TrainingData) -> list[str]:
    """Look for defects with one example, masks of odd sizes or places, and captures on both sides of a split.

    Args:
        training_data (TrainingData): The user's pictures.

    Returns:
        list[str]: A sentence for each finding.
    """
    parts = training_data.list_parts()
    whole = [*training_data.learnt, *training_data.held_out]
    found = [
        f"{defect}: there is one example only; more will do better" for defect in parts if _is_alone(whole, defect)
    ]
    found += _describe_small(training_data)
    return [*found, *list_mask_warnings(whole), *_describe_duplicates(training_data)]


def _describe_small(training_data: TrainingData) -> Iterator[str]:
    sides = [min(image.shape[:2]) for image in training_data.good]
    small = [side for side in sides if side < MIN_IMAGE_SIDE]
    if small:
        yield (
            f"{len(small)} of {len(sides)} good images are narrower than {MIN_IMAGE_SIDE} px, one {min(small)} px: "
            "they are learnt from, and nothing can be painted into them"
        )


def _is_alone(whole: Sequence[Example], defect: str) -> bool:
    return sum(example.defect == defect for example in whole) == 1


def _describe_duplicates(training_data: TrainingData) -> Iterator[str]:
    learnt, held_out = _shrink_copies(training_data.learnt), _shrink_copies(training_data.held_out)
    step = max(len(training_data.good) // COMMON, 1)
    common = [shrink_copy(image) for image in training_data.good[::step][:COMMON]]
    evaluated = training_data.evaluated
    sides = [
        (learnt, held_out, [*common, *evaluated.values()], "held out", "--groups keeps captures of one piece together"),
        (learnt | held_out, evaluated, common, "for the test", "the test will look better than it is"),
    ]
    for first, second, others, side, advice in sides:
        pairs = find_near_duplicates(first, second, others=others)
        if pairs:
            named = name_some(f"{a} and {b}" for a, b in pairs)
            yield f"nearly the same picture is learnt from and {side}: {named}; {advice}"


def _shrink_copies(examples: Sequence[Example]) -> dict[str, NDArray[np.float32]]:
    return {f"{example.defect}/{example.name}": shrink_copy(example.image) for example in examples}
