# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Few-shot splits: which real defects may be learnt from, and which are kept for the score."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError
from anomalib_stage.files.images import find_images

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_files", "read_split"]

SHOWN = 5
"""Missing files that a message names."""


def check_files(root: Path, split: dict[str, dict[str, set[str]]], *, split_file: Path) -> None:
    """Refuse a root without what the split names, in the words of a benchmark.

    Raises:
        DataError: If a folder or a picture is missing, or a stem could mean two pictures.
    """
    for folder in (root / "train" / "good", root / "test" / "good", root / "ground_truth"):
        if not folder.is_dir():
            msg = (
                f"{folder}: no such folder; --data needs train/good, test/good, test/<defect> and ground_truth/<defect>"
            )
            raise DataError(msg)
    for defect, sides in split.items():
        folder = root / "test" / defect
        if not folder.is_dir():
            msg = f"{split_file}: defect {defect!r} has no folder {folder}; a split names folders of test"
            raise DataError(msg)
        there = Counter(path.stem for path in find_images(folder))
        wanted = sorted(sides["fit"] | sides["eval"])
        if missing := [stem for stem in wanted if stem not in there]:
            shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
            msg = f"{split_file}: {len(missing)} stems of defect {defect!r} are not in {folder}: {shown}; correct it"
            raise DataError(msg)
        if twice := [stem for stem in wanted if there[stem] > 1]:
            msg = f"{split_file}: {twice[0]!r} could be {there[twice[0]]} pictures in {folder}; rename all but one"
            raise DataError(msg)


def read_split(path: Path) -> dict[str, dict[str, set[str]]]:
    """Read ``{defect: {"fit": [stems], "eval": [stems]}}``.

    Raises:
        DataError: If it cannot be read, or a defect has no picture on a side or one on both.
    """
    try:
        content = json.loads(path.read_text())
        split = {defect: {side: set(stems[side]) for side in ("fit", "eval")} for defect, stems in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f'{path}: not a split of the form {{defect: {{"fit": [stems], "eval": [stems]}}}}: {error!r}'
        raise DataError(msg) from error
    for defect, sides in split.items():
        both = sorted(sides["fit"] & sides["eval"])
        if both or not sides["fit"] or not sides["eval"]:
            why = f"{both[0]!r} is in fit and in eval" if both else "fit or eval is empty"
            msg = f"{path}: defect {defect!r}: {why}; every defect needs defects on both sides, and none on both"
            raise DataError(msg)
    return split
