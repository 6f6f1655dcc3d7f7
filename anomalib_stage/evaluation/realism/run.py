# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Paint anomalies and good surface with a bundle, measure them, and write the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.errors import DataError, InputError
from anomalib_stage.evaluation.dataset import load_data
from anomalib_stage.evaluation.picture_set import resize
from anomalib_stage.evaluation.realism.report import Comparison, Report, as_json, markdown
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.metrics.copies import measure_copy_distance
from anomalib_stage.metrics.crops import cut_crops, group_by_defect
from anomalib_stage.metrics.distances import FEWEST, compare_halves, compute_gaps
from anomalib_stage.metrics.diversity import compute_diversity
from anomalib_stage.metrics.figures import draw_copy_sheet, draw_defect_sheet, draw_good_sheet
from anomalib_stage.metrics.kid_lpips import compute_kid_lpips
from anomalib_stage.metrics.statistics import build_feature_table
from anomalib_stage.metrics.traces.forensics import FEWEST_IMAGES, detect_repainting
from anomalib_stage.metrics.traces.univariate_detectors import measure_univariate_traces
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.preview.rows import paint_rows
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import build_settings
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE
from anomalib_stage.training.data.load import read_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop
    from anomalib_stage.preview.rows import PreviewRow
    from anomalib_stage.settings import SynthesisSettings

    Image = NDArray[np.uint8]
    Say = Callable[[str, int, int], None]

__all__ = ["ALL", "quality", "read_set"]

ALL = "all"
FEWEST_PAIRS = 16
TEST_SIZE = 64
"""Test pictures are read at this size: none of them is looked at."""


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
    images, real = read_set(data, split=split or data / "few_shot.json", size=size)
    painter = _Painter(synthesizer, images, seed=seed, say=progress or (lambda *_: None))
    defects = synthesizer.defects
    anomalies = [
        cut
        for image, row in painter.rows("anomalies", [defects[i % len(defects)] for i in range(count)])
        for cut in cut_crops(row.after, row.painted, defect=row.defect, source=image)
    ]
    good = painter.rows("good surface", [GOOD] * count)
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
        comparisons=_comparisons(anomalies, real),
        halves=compare_halves(build_feature_table(real), seed=seed),
        diversity={side: _diversities(cuts) for side, cuts in (("synthetic", anomalies), ("real", real))},
        copies=copies,
        verdict=detect_repainting(repainted, untouched, seed=seed, device=str(synthesizer.device)),
        measure_univariate_traces=measure_univariate_traces(repainted, untouched),
        learned=compute_kid_lpips(anomalies, real, seed=seed),
    )
    write_file(out / "quality.json", as_json(report).encode())
    text = markdown(report)
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


def read_set(data: Path, *, split: Path, size: int | None) -> tuple[list[Image], list[Crop]]:
    """Read what is measured.

    Args:
        data (Path): Data set in MVTec layout.
        split (Path): Few-shot split; its ``fit`` side is read.
        size (int | None): Side to resize to in pixels; None: as they are.

    Returns:
        tuple[list[Image], list[Cut]]: Good training images, and the real defects; those of one piece, which
        ``groups.json`` names, have one ``source``.

    Raises:
        DataError: If the data set cannot be read, or is too small to measure anything.
    """
    read = load_data(data, split=split, size=TEST_SIZE)
    examples = [example for members in read.fit.values() for example in members]
    groups = read_groups(None, defect_dir=data / "test")
    names = [f"{example.defect}/{example.name}" for example in examples]
    pieces = [groups.get(name, groups.get(example.name, name)) for name, example in zip(names, examples, strict=True)]
    numbers = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    pairs = [(example.image, example.mask, example.defect) for example in examples]
    images = read.good
    if size is not None:
        pairs = [(*resize(image, mask, size=size), defect) for image, mask, defect in pairs]
        images = [resize(image, np.zeros(image.shape[:2], np.bool_), size=size)[0] for image in images]
    real = [
        cut
        for piece, (image, mask, defect) in zip(pieces, pairs, strict=True)
        for cut in cut_crops(image, mask, defect=defect, source=numbers[piece])
    ]
    if len(images) < FEWEST_IMAGES or len({cut.source for cut in real}) < 2:
        msg = (
            f"{data}: {len(images)} good images and real defects in {len({cut.source for cut in real})}; at least "
            f"{FEWEST_IMAGES} good images, and two with defects on the fit side of the split are needed"
        )
        raise DataError(msg)
    return images, real


class _Painter:
    """Paints into good images in turn, in an order drawn from the seed."""

    def __init__(self, synthesizer: StageSynthesizer, images: Sequence[Image], *, seed: int, say: Say) -> None:
        self.synthesizer, self.images, self.seed, self.say = synthesizer, images, seed, say
        self.order = numpy_generator(seed, "images").permutation(len(images)).tolist()

    def rows(self, name: str, defects: Sequence[str]) -> list[tuple[int, PreviewRow]]:
        """Paint one of each defect; return the numbers of the images and what was painted, less what was rejected."""
        found = []
        for i, defect in enumerate(defects):
            image = self.order[i % len(self.order)]
            seeds = [derive_seed(self.seed, name, i)]
            [row] = paint_rows(self.synthesizer, [self.images[image]], defects=[defect], seeds=seeds)
            found += [] if row.rejected else [(image, row)]
            self.say(f"painting {name}", i + 1, len(defects))
        return found


def _comparisons(synthetic: list[Crop], real: list[Crop]) -> dict[str, Comparison]:
    """Compare all with all, and each defect with the real ones of its name, or with all where there are too few."""
    named, whole = group_by_defect(real), build_feature_table(real)
    found = {ALL: Comparison(len(synthetic), ALL, compute_gaps(build_feature_table(synthetic), whole))}
    for defect, cuts in group_by_defect(synthetic).items():
        own = len(named.get(defect, ())) >= FEWEST
        against = build_feature_table(named[defect]) if own else whole
        found[defect] = Comparison(len(cuts), defect if own else ALL, compute_gaps(build_feature_table(cuts), against))
    return found


def _diversities(cuts: list[Crop]) -> dict[str, float]:
    return {defect: compute_diversity(members) for defect, members in group_by_defect(cuts).items()} | {
        ALL: compute_diversity(cuts)
    }
