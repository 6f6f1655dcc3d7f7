# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Divide real defects: those to learn from, and those that only judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomalib_stage.training.data.regions.example import Example

__all__ = ["split_held_out"]

FEWEST = 3
"""A defect with fewer pieces keeps none from training."""


def split_held_out(examples: Sequence[Example], *, share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Keep a share of the real defects from training, at least one piece of each defect that has three.

    Captures of one piece (the same ``group``) stay on one side. A group that shows several defects is kept for all,
    unless one of them could then be learnt from nothing.

    Args:
        examples (Sequence[Example]): Whole images with defects and groups.
        share (float): Share of a defect's pieces to keep, [0, 0.5]; never more than a third.
        seed (int): Base seed.

    Returns:
        tuple[list[Example], list[Example]]: Examples to train on, and those kept.
    """
    if share <= 0.0:
        return list(examples), []
    pieces_of: dict[str, set[str]] = {}
    for example in examples:
        pieces_of.setdefault(example.defect, set()).add(_name_piece(example))
    held_out: set[str] = set()
    for defect, pieces in sorted(pieces_of.items()):
        count = min(max(round(share * len(pieces)), 1), len(pieces) // FEWEST)
        ordered = sorted(pieces)
        for i in numpy_generator(seed, "held-out", defect).permutation(len(ordered)):
            spared = all(others - held_out - {ordered[i]} for others in pieces_of.values() if ordered[i] in others)
            if len(held_out & pieces) < count and spared:
                held_out.add(ordered[i])
    left = [example for example in examples if _name_piece(example) not in held_out]
    return left, [example for example in examples if _name_piece(example) in held_out]


def _name_piece(example: Example) -> str:
    return f"group {example.group}" if example.group else f"{example.defect}/{example.name}"
