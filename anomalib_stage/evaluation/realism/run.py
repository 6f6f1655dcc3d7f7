# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Paint anomalies and good surface with a bundle, measure them, and write the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.realism.read_set import read_set
from anomalib_stage.evaluation.realism.report import Comparison, Report, write_json
from anomalib_stage.evaluation.realism.tables import write_markdown
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.metrics.copies import measure_copy_distance
from anomalib_stage.metrics.crops import cut_crops, group_by_defect
from anomalib_stage.metrics.distances import FEWEST, compare_halves, compute_gaps
from anomalib_stage.metrics.diversity import compute_diversity
from anomalib_stage.metrics.figures import draw_copy_sheet, draw_defect_sheet, draw_good_sheet
from anomalib_stage.metrics.kid_lpips import compute_kid_lpips
from anomalib_stage.metrics.statistics import build_feature_table
from anomalib_stage.metrics.traces.forensics import detect_repainting
from anomalib_stage.metrics.traces.univariate_detectors import measure_univariate_traces
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.preview.rows import paint_rows
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import build_settings
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop
    from anomalib_stage.preview.rows import PreviewRow
    from anomalib_stage.settings import SynthesisSettings

    Image = NDArray[np.uint8]
    Say = Callable[[str, int, int], None]

__all__ = ["ALL", "quality"]

ALL = "all"
FEWEST_PAIRS = 16


@accept_old_names
def quality(
    *,
    data: Path,
    out: Path,
    weights: str = "default",
    split: Path | None = None,
    count: int = 200,
    size: int | None = None,
    seed: int = 0,
    sampling_steps: int | None = None,
    synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
    device: str = "auto",
    white_level: int | None = None,
    progress: Say | None = None,
) -> str:
    """Measure what a bundle paints.

    Args:
        data (Path): Data set in MVTec layout, as :func:`~anomalib_stage.evaluation.dataset.load_data` reads it. Good
            training images are painted on; defects of the split's ``fit`` side are the real ones.
        out (Path): Folder for ``quality.json``, ``quality.md``, ``defects.png``, ``copies.png`` and ``good.png``.
        weights (str): ``default`` or a bundle file.
        split (Path | None): JSON file ``{defect: {"fit": [stems], "eval": [stems]}}``; None: ``few_shot.json`` in
            ``data``.
        count (int): Anomalies to paint, and as many times good surface.
        size (int | None): Resize images to this side in pixels first; None: as they are.
        seed (int): Base seed.
        sampling_steps (int | None): Sampling steps, 4 to 1000; None: as many as the bundle's backbone needs.
        synthesis (SynthesisSettings | Mapping[str, Any] | None): What differs from the default
            :class:`~anomalib_stage.settings.SynthesisSettings`, such as ``{"match_grain": false}``.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        white_level (int | None): Largest value of a pixel in images deeper than 8 bit, such as 4095; None: found over
            all images.
        progress (Say | None): Called with what is done, how much of it, and of how much.

    Returns:
        str: Markdown tables, also written to ``out``.

    Raises:
        InputError: If an argument cannot be used.
        DataError: If the data set cannot be read, or is too small to measure anything.
        BundleError: If the bundle cannot be used.
    """
    _check_arguments(count=count, size=size)
    stated = build_settings(synthesis)
    settings = build_settings(stated, sampling_steps=sampling_steps)
    synthesizer = StageSynthesizer.from_pretrained(weights, device=device, synthesis=settings)
    images, real = read_set(data, split=split or data / "few_shot.json", size=size, white_level=white_level)
    painter = _Painter(synthesizer, images, seed=seed, say=progress or (lambda *_: None))
    defects = synthesizer.defects
    anomalies = [
        cut
        for image, row in painter.paint("anomalies", [defects[i % len(defects)] for i in range(count)])
        for cut in cut_crops(row.after, row.painted, defect=row.defect, source=image)
    ]
    good = painter.paint("good surface", [GOOD] * count)
    repainted, untouched = (
        [cut for image, row in good for cut in cut_crops(getattr(row, side), row.painted, defect=GOOD, source=image)]
        for side in ("after", "before")
    )
    if not anomalies:
        msg = "the bundle painted nothing visible into these images; look at them with 'anomalib-stage preview'"
        raise InputError(msg)
    painter.say("measuring", 0, 1)
    copies = measure_copy_distance(anomalies, real)
    report = Report(
        settings={
            "data": data.name,
            "weights": synthesizer.bundle.digest[:12],
            "count": count,
            "size": size,
            "seed": seed,
            "steps": synthesizer.steps,
            "synthesis": stated.model_dump(mode="json", by_alias=True, exclude_unset=True) or None,
        },
        comparisons=_compare_defects(anomalies, real),
        halves=compare_halves(build_feature_table(real), seed=seed),
        diversity={side: _compute_diversities(cuts) for side, cuts in (("synthetic", anomalies), ("real", real))},
        copies=copies,
        verdict=detect_repainting(repainted, untouched, seed=seed, device=str(synthesizer.device)),
        traces=measure_univariate_traces(repainted, untouched),
        learned=compute_kid_lpips(anomalies, real, seed=seed),
    )
    write_file(out / "quality.json", write_json(report).encode())
    text = write_markdown(report)
    write_file(out / "quality.md", (text + "\n").encode())
    write_file(out / "kinds.png", encode_png(draw_defect_sheet(anomalies, real, seed=seed)))
    write_file(out / "copies.png", encode_png(draw_copy_sheet(anomalies, real, copies.synthetic)))
    write_file(out / "good.png", encode_png(draw_good_sheet(repainted, untouched, seed=seed)))
    return text


def _check_arguments(*, count: int, size: int | None) -> None:
    if count < FEWEST_PAIRS:
        msg = f"--count is {count}; at least {FEWEST_PAIRS} are needed to measure anything, and 200 to believe it"
        raise InputError(msg)
    if size is not None and size < MIN_IMAGE_SIDE:
        msg = f"--size is {size}; it must be at least {MIN_IMAGE_SIDE} px"
        raise InputError(msg)


class _Painter:
    """Paints into good images in turn, in an order drawn from the seed."""

    def __init__(self, synthesizer: StageSynthesizer, images: Sequence[Image], *, seed: int, say: Say) -> None:
        self.synthesizer, self.images, self.seed, self.say = synthesizer, images, seed, say
        self.order = numpy_generator(seed, "images").permutation(len(images)).tolist()

    def paint(self, name: str, defects: Sequence[str]) -> list[tuple[int, PreviewRow]]:
        """Paint one of each defect; return the numbers of the images and what was painted, less what was rejected."""
        found = []
        for i, defect in enumerate(defects):
            image = self.order[i % len(self.order)]
            seeds = [derive_seed(self.seed, name, i)]
            [row] = paint_rows(self.synthesizer, [self.images[image]], defects=[defect], seeds=seeds)
            found += [] if row.rejected else [(image, row)]
            self.say(f"painting {name}", i + 1, len(defects))
        return found


def _compare_defects(synthetic: list[Crop], real: list[Crop]) -> dict[str, Comparison]:
    """Compare all with all, and each defect with the real ones of its name, or with all where there are too few."""
    named, whole = group_by_defect(real), build_feature_table(real)
    found = {ALL: Comparison(len(synthetic), ALL, compute_gaps(build_feature_table(synthetic), whole))}
    for defect, cuts in group_by_defect(synthetic).items():
        own = len(named.get(defect, ())) >= FEWEST
        against = build_feature_table(named[defect]) if own else whole
        found[defect] = Comparison(len(cuts), defect if own else ALL, compute_gaps(build_feature_table(cuts), against))
    return found


def _compute_diversities(cuts: list[Crop]) -> dict[str, float]:
    return {defect: compute_diversity(members) for defect, members in group_by_defect(cuts).items()} | {
        ALL: compute_diversity(cuts)
    }
