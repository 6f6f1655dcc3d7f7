# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a fitted bundle paints, against the real defects that it learnt: copies, and how far its statistics are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.metrics.copies import measure_copy_distance
from anomalib_stage.metrics.crops import Crop, cut_crops, group_by_defect
from anomalib_stage.metrics.distances import compute_ranking_score
from anomalib_stage.metrics.figures import draw_copy_sheet
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import MaskSettings, SynthesisSettings
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE
from anomalib_stage.training.measure.softness import Painted, measure_softness, soften
from anomalib_stage.training.measure.texture import measure_texture_continuity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Comparison", "compare_with_real"]

EACH = 12
"""Anomalies painted of each defect."""

SHEET = "copies.png"


class Comparison(NamedTuple):
    """What a fitted bundle paints, against the real defects.

    Args:
        measured (dict[str, dict[str, float]]): For each defect ``softness``, how soft its edges are
            (:func:`~anomalib_stage.training.measure.softness.measure_softness`), and ``texture_continuity``, how far
            the surface's texture goes on in it, if there are large ones
            (:func:`~anomalib_stage.training.measure.texture.measure_texture_continuity`).
        summary (dict[str, Any]): ``painted``, the number of anomalies; ``copy_ratio`` and ``copies``
            (:class:`~anomalib_stage.metrics.copies.CopyDistance`); ``gap``
            (:func:`~anomalib_stage.metrics.distances.compute_ranking_score`), None where there are too few of each.
    """

    measured: dict[str, dict[str, float]]
    summary: dict[str, Any]


def compare_with_real(
    export: Callable[..., StageBundle],
    training_data: TrainingData,
    *,
    device: torch.device,
    seed: int,
    folder: Path,
) -> Comparison:
    """Paint each defect that was learnt into good images, and compare with the real defects that it was learnt from.

    Args:
        export (Callable[..., StageBundle]): Makes the fitted bundle; called with ``measured``, what is known of its
            defects.
        training_data (TrainingData): What it was fitted on.
        device (torch.device): Where to paint.
        seed (int): Seed of images and anomalies.
        folder (Path): Where ``copies.png``, the painted anomalies nearest to a real one, goes.

    Returns:
        Comparison: Where nothing can be compared (no good images, fewer than two pieces with defects, nothing visible
        was painted) its summary is ``{"not_compared": reason}``.
    """
    real = _cut_real(training_data)
    if not real:
        return Comparison({}, {})
    good = [image for image in training_data.good if min(image.shape[:2]) >= MIN_IMAGE_SIDE]
    if not good or len({crop.source for crop in real}) < 2:
        reason = f"it takes good images of at least {MIN_IMAGE_SIDE} px a side, and defects on two pieces"
        return Comparison({}, {"not_compared": reason})
    named = group_by_defect(real)
    textures = {defect: measure_texture_continuity(crops) for defect, crops in named.items()}
    measured = {defect: {} if value is None else {"texture_continuity": value} for defect, value in textures.items()}
    painted = _paint_anomalies(export(measured=measured), good, defects=sorted(named), device=device, seed=seed)
    for defect, crops in named.items():
        measured[defect]["softness"] = measure_softness([one for one in painted if one.defect == defect], crops)
    crops = [crop for one in painted for crop in soften(one, measured[one.defect]["softness"])]
    if not crops:
        return Comparison(measured, {"not_compared": "nothing visible was painted into the good images"})
    copies = measure_copy_distance(crops, real)
    write_file(folder / SHEET, encode_png(draw_copy_sheet(crops, real, copies.synthetic)))
    return Comparison(
        measured,
        {
            "painted": len(painted),
            "copy_ratio": round(copies.ratio, 3),
            "copies": round(copies.copies, 3),
            "gap": _compute_gap(crops, real),
        },
    )


def _cut_real(training_data: TrainingData) -> list[Crop]:
    """Return the defects that were learnt; captures of one piece have one source."""
    pieces = [example.group or f"{example.defect}/{example.name}" for example in training_data.learnt]
    numbers = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return [
        crop
        for example, piece in zip(training_data.learnt, pieces, strict=True)
        for crop in cut_crops(example.image, example.mask, defect=example.defect, source=numbers[piece])
    ]


def _paint_anomalies(
    bundle: StageBundle, good: Sequence[NDArray[np.uint8]], *, defects: Sequence[str], device: torch.device, seed: int
) -> list[Painted]:
    """Paint anomalies that end at the edges of their masks, which lie like the real ones; their detail is made up."""
    settings = SynthesisSettings(softness=(0.0, 0.0), masks=MaskSettings(bank_share=1.0), exemplars=0.0)
    synthesizer = StageSynthesizer(bundle, device=device, synthesis=settings)
    order = numpy_generator(seed, "likeness").permutation(len(good)).tolist()
    found: list[Painted] = []
    for i, defect in enumerate(defect for defect in defects for _ in range(EACH)):
        chosen = order[i % len(order)]
        image = torch.from_numpy(good[chosen]).permute(2, 0, 1)[None].float() / 255.0
        pair = synthesizer(image, defects=defect, seeds=[derive_seed(seed, "likeness", i)])
        if bool(pair.label[0]):
            pixels = (pair.image[0] * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
            found.append(Painted(good[chosen], pixels, pair.mask[0, 0].cpu().numpy(), defect, chosen))
    return found


def _compute_gap(painted: Sequence[Crop], real: Sequence[Crop]) -> float | None:
    try:
        return round(compute_ranking_score(painted, real), 3)
    except InputError:  # too few of each defect
        return None
