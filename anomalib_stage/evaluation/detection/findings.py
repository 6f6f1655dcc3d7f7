# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark's folder holds, and what may not be compared with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError
from anomalib_stage.files.claims import compare_facts, refuse_differences, write_facts
from anomalib_stage.files.images import find_images, read_image
from anomalib_stage.files.pixels import digest_pictures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["check_defects", "check_unseen", "claim_run", "digest_folder"]


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
    """Digest of a folder's images in sorted order; None without a folder.

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
