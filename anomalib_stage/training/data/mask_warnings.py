# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What is doubtful about masks of real defects: their sizes, their levels, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.training.data.mask_shift import find_common_shift
from anomalib_stage.training.data.regions.real_defects import RealDefects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["list_mask_warnings", "name_some"]

SMALLEST = 4
"""Defects of fewer pixels are specks of a brush, or too small to learn from."""

LARGEST = 0.5
"""Masks over more than this share of a picture leave no surface to go on with."""

NAMED = 3
"""Files that a warning names."""


def list_mask_warnings(examples: Sequence[Example]) -> list[str]:
    """Look for masks of odd sizes, levels or places.

    Args:
        examples (Sequence[Example]): Whole images with real defects.

    Returns:
        list[str]: A sentence for each finding.
    """
    parts = RealDefects(examples).group_by_defect
    found: list[str] = []
    for defect, pool in parts.items():
        images = [example for example in examples if example.defect == defect]
        small = [example for example in pool if example.mask.sum() < SMALLEST]
        large = [example for example in images if example.mask.mean() > LARGEST]
        found += _describe_sizes(defect, small, f"defects of fewer than {SMALLEST} px", "specks of the brush?")
        found += _describe_sizes(
            defect, large, "masks over more than half of the picture", "is the defect what is masked?"
        )
        found += _describe_levels(defect, images)
    return [*found, *_describe_shifts(parts)]


def _describe_levels(defect: str, images: Sequence[Example]) -> Iterator[str]:
    several = [example for example in images if len(example.levels) > 1]
    if several:
        levels = ", ".join(map(str, sorted({level for example in several for level in example.levels})))
        yield (
            f"{defect}: {len(several)} masks have several levels ({levels}; {name_some(e.name for e in several)}); "
            "as in anomalib, every level above 0 is defect"
        )


def _describe_sizes(defect: str, examples: Sequence[Example], what: str, question: str) -> Iterator[str]:
    if examples:
        yield f"{defect}: {len(examples)} {what} ({name_some(dict.fromkeys(e.name for e in examples))}); {question}"


def name_some(names: Iterable[str]) -> str:
    """List the first three names, and say how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _describe_shifts(parts: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    """Judge each defect, and if none has enough to say, all together: an export shifts them all."""
    shifts = {defect: shift for defect, pool in parts.items() if (shift := find_common_shift(pool)) is not None}
    if (
        not shifts
        and (shift := find_common_shift([example for pool in parts.values() for example in pool])) is not None
    ):
        shifts = {"all defects": shift}
    for defect, (down, right) in shifts.items():
        yield (
            f"{defect}: masks look shifted; they fit better {abs(down)} px {'lower' if down >= 0 else 'higher'} and "
            f"{abs(right)} px further {'right' if right >= 0 else 'left'}"
        )
