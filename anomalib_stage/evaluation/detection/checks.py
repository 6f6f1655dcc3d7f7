# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark refuses before anything is painted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.detection.source_names import NONE, split_source
from anomalib_stage.evaluation.detection.sources.built_in import BUILT_IN
from anomalib_stage.evaluation.detection.training_mix import SELF_SHARE
from anomalib_stage.files.claims import compare_facts, refuse_differences, write_facts
from anomalib_stage.files.images import find_images, read_image
from anomalib_stage.files.pixels import digest_pictures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.weights.bundle import StageBundle

__all__ = [
    "SOURCES",
    "check_defects",
    "check_numbers",
    "check_rates",
    "check_sources",
    "check_unseen",
    "claim_run",
    "digest_folder",
]

SOURCES = ("perlin", "cutpaste", "croppaste", "real", "default")
"""What a benchmark compares by default."""


def claim_run(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into a new folder, or compare them with those of the benchmark that it holds.

    Args:
        out (Path): Folder of results.
        settings (Mapping[str, Any]): What decides them, as JSON values by name.

    Raises:
        InputError: If it holds a benchmark with other settings.
    """
    file = out / "benchmark.json"
    if not file.is_file():
        write_facts(file, settings)
        return
    other = compare_facts(json.loads(file.read_text()), settings)
    refuse_differences(f"--out {out}", other, what="benchmark", advice="choose another folder")


def digest_folder(folder: Path | None) -> str | None:
    """Return the digest of a folder's images in sorted order; None without a folder.

    Raises:
        DataError: If the folder is missing or holds no image.
    """
    return None if folder is None else digest_pictures(*(read_image(path) for path in find_images(folder)))


def check_defects(bundles: Mapping[str, StageBundle], defects: Sequence[str] | None) -> None:
    """Refuse defects that a bundle cannot paint.

    Raises:
        InputError: If there is such a defect.
    """
    for name, bundle in bundles.items():
        if unknown := [defect for defect in defects or () if defect not in bundle.defects]:
            msg = f"--defects {' '.join(unknown)}: {name} has no such defect; it has {', '.join(bundle.defects)}"
            raise InputError(msg)


def check_unseen(bundles: Mapping[str, StageBundle], data: BenchmarkData) -> None:
    """Refuse bundles that were fitted on pictures which are scored here.

    Raises:
        InputError: If a bundle has seen one.
    """
    for name, bundle in bundles.items():
        if seen := data.scored & set(bundle.manifest.training.get("pictures", ())):
            msg = (
                f"{name} was fitted on {len(seen)} of the {len(data.scored)} pictures kept for the score; "
                "fit it with --split and the split that is given here"
            )
            raise InputError(msg)


def check_numbers(
    sources: Sequence[str], *, seeds: Sequence[int], max_steps: int, pairs: int, size: int, batch_size: int
) -> None:
    """Refuse numbers that a benchmark cannot be run with.

    Raises:
        InputError: If there is one.
    """
    sums = [source for source in sources if len(parts := set(split_source(source)) - {NONE}) > 1 and "real" in parts]
    complaints = [
        (bool(seeds), "--seeds is empty; give at least one, and three to believe a difference"),
        (max_steps >= 1, f"--max-steps is {max_steps}; it must be at least 1"),
        (pairs >= SELF_SHARE, f"--pairs is {pairs}; it must be at least {SELF_SHARE}"),
        (size >= 64 and size % 32 == 0, f"--size is {size}; it must be a multiple of 32 from 64"),
        (batch_size >= 2, f"--batch-size is {batch_size}; it must be at least 2"),
        (
            batch_size >= 4 or not sums,
            f"--batch-size is {batch_size}; it must be at least 4 for {' '.join(sums)}, "
            "where half of it are real defects",
        ),
    ]
    for fine, complaint in complaints:
        if not fine:
            raise InputError(complaint)


def check_rates(*, learning_rate: float, negatives: float) -> None:
    """Refuse rates out of range.

    Raises:
        InputError: If there is one.
    """
    if not 0 < learning_rate < math.inf:
        msg = f"--learning-rate is {learning_rate}; it must be above 0"
        raise InputError(msg)
    if not 0 <= negatives <= 1:
        msg = f"--negatives is {negatives}; it must be in [0, 1]"
        raise InputError(msg)


def check_sources(parts: Sequence[str]) -> None:
    """Refuse sources that are neither known nor files.

    Raises:
        InputError: If there is one.
    """
    for part in parts:
        if part not in (*BUILT_IN, "default") and not Path(part).exists():
            known = ", ".join([NONE, *SOURCES])
            msg = f"--sources {part}: no such file, and none of {known}; sums are written default+real"
            raise InputError(msg)
