# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a fit has learnt, as data for the bundle's training summary and as lines for people."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.training.data.defect_names import RENDERED
from anomalib_stage.training.data.warnings import list_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomalib_stage.training.callbacks.held_out import HeldOut
    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.training.learnt_names import LearntNames
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["format_report", "list_known_pictures", "log_report", "summarize_held_out", "summarize_learnt"]

logger = logging.getLogger(__name__)

COPIER = 0.6
"""Below this share of the distance between real anomalies painted ones are called copies."""


def summarize_learnt(training_data: TrainingData, starts: Mapping[str, str]) -> dict[str, Any]:
    """Describe the user's pictures.

    Args:
        training_data (TrainingData): The user's pictures.
        starts (Mapping[str, str]): The known defect that each new one starts from.

    Returns:
        dict[str, Any]: The number of ``good_images``; ``warnings``, sentences on what is doubtful; and ``learnt``, for
        each defect the number of ``images``, of them ``held_out``, of ``defects`` that stand apart,
        of capture ``groups`` (if known), the smallest, median and largest mask in ``pixels``, and whether it was
        ``turned`` by quarters; for new defects the known defect that they ``start`` from.
    """
    table: dict[str, Any] = {}
    straight = training_data.real.straight if training_data.real else frozenset()
    for defect, parts in sorted(training_data.list_parts().items()):
        images = [example for example in training_data.learnt if example.defect == defect]
        held_out = [example for example in training_data.held_out if example.defect == defect]
        sizes = [int(part.mask.sum()) for part in parts]
        groups = {example.group for example in [*images, *held_out] if example.group}
        table[defect] = {
            "images": len(images) + len(held_out),
            "held_out": len(held_out),
            "defects": len(parts),
            **({"groups": len(groups)} if groups else {}),
            "pixels": [min(sizes), int(np.median(sizes)), max(sizes)],
            "turned": defect not in straight,
            **({"start": starts[defect]} if defect in starts else {}),
        }
    return {"learnt": table, "good_images": len(training_data.good), "warnings": list_warnings(training_data)}


def list_known_pictures(training_data: TrainingData, parent: StageBundle | None) -> list[str]:
    """Name the pictures with real defects that a bundle has seen, its parent's too, so that none is scored later.

    Args:
        training_data (TrainingData): The user's pictures; those held out have judged, and count too.
        parent (StageBundle | None): Bundle that the training starts from.

    Returns:
        list[str]: Digests of :func:`~anomalib_stage.files.pixels.digest_pictures`, sorted.
    """
    before = parent.manifest.training.get("pictures", []) if parent else []
    own = (digest_pictures(example.image) for example in [*training_data.learnt, *training_data.held_out])
    return sorted({*before, *own})


def summarize_held_out(judge: HeldOut, names: LearntNames) -> dict[str, Any]:
    """Describe the losses before training and of the weights that were kept, and the step they are from."""
    losses = {name: [round(judge.before[name], 5), round(judge.best[name], 5)] for name in judge.best}
    return {"step": judge.best_step, "stopped_early": judge.stopped, "losses": names.apply(losses)}


def log_report(training: Mapping[str, Any]) -> None:
    """Log the lines of :func:`format_report`, warnings as such."""
    for line in format_report(training):
        logger.log(logging.WARNING if line.startswith("warning: ") else logging.INFO, "%s", line)


def format_report(training: Mapping[str, Any]) -> list[str]:
    """Say what a bundle's training summary holds, a line for each defect, each warning and each loss."""
    lines = []
    for defect, row in training.get("learnt", {}).items():
        low, middle, high = row["pixels"]
        pieces = f" of {row['groups']} pieces" if "groups" in row else ""
        turns = "" if row["turned"] else ", not turned by quarters"
        start = f", starts as {row['start']}" if "start" in row else ""
        lines.append(
            f"{defect}: {row['defects']} defects on {row['images']} images{pieces}, {row['held_out']} held out, "
            f"masks of {low} to {high} px, median {middle}{turns}{start}"
        )
    lines += [f"warning: {text}" for text in training.get("warnings", [])]
    judged = training.get("held_out", {})
    for name, (before, after) in sorted(judged.get("losses", {}).items(), key=lambda item: item[0] == RENDERED):
        what = "rendered defects" if name == RENDERED else f"{name} (held out)"
        lines.append(f"{what}: loss {before:.4f} before, {after:.4f} at step {judged['step']}")
    measured = sorted(training.get("measured", {}).items())
    for name, meaning in (
        ("softness", "softness of edges, 0 hard, 1 only the middle is whole"),
        ("texture_continuity", "texture of the surface in large defects, 1 goes on, 0 another material"),
    ):
        values = [f"{defect} {row[name]:g}" for defect, row in measured if name in row]
        lines += [f"{meaning}: {', '.join(values)}"] if values else []
    return lines + _format_comparison(training.get("compared", {}))


def _format_comparison(compared: Mapping[str, Any]) -> list[str]:
    """Say how near the painted anomalies are to the real ones, and how like them."""
    if not compared:
        return []
    if "not_compared" in compared:
        return [f"copies: not compared; {compared['not_compared']}"]
    ratio, copies = compared["copy_ratio"], compared["copies"]
    lines = [
        f"copies: {compared['painted']} painted anomalies are {ratio:.2f} times as far from the nearest real one as "
        f"real ones are from each other; {copies:.0%} are nearer than 95 % of those"
    ]
    if ratio < COPIER:
        lines.append(
            f"warning: the painted anomalies are near copies of the real ones ({ratio:.2f}); look at copies.png in the "
            "working folder, and fit with fewer steps or more examples"
        )
    if compared["gap"] is not None:
        lines.append(f"statistics: {compared['gap']:.2f} deviations from those of the real ones, 0 is equal")
    return lines
