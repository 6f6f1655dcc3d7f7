# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that train: bundles, and networks that say which bundle is good; and what a bundle is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anomalib_stage.commands.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["benchmark", "fit", "inspect"]


def fit(
    *,
    out: Path,
    normal: Path | None = None,
    defects: Path | None = None,
    masks: Path | None = None,
    include: Path | None = None,
    rename: dict[str, str] | None = None,
    groups: Path | None = None,
    held_out: float = 0.15,
    rotate: Literal["auto", "always", "never"] = "auto",
    base: str = "default",
    procedural: float = 0.25,
    max_steps: int | None = None,
    max_time: str | None = None,
    batch_size: int = 16,
    learning_rate: float = 4e-4,
    seed: int = 0,
    device: str = "auto",
    workdir: Path | None = None,
    check_steps: int = 100,
    patience: int = 10,
    sheet_minutes: float = 5.0,
    no_bank: bool = False,
    no_exemplars: bool = False,
    freeze: bool = False,
    resume: bool = False,
) -> Iterator[str]:
    """Train a denoiser on good images, real defects and rendered ones, and write its bundle.

    Args:
        out: Bundle to write (.safetensors).
        normal: Folder of good images, searched recursively.
        defects: Folder with one sub-folder of defect images for each defect.
        masks: Folder with the same sub-folders of masks, <stem>_mask.png or <stem>.png.
        include: JSON file {defect: [stems]} or {defect: {"fit": [stems]}} of the defects to use.
        rename: Names to learn folders under, {folder: defect}; two folders may share one.
        groups: JSON file {stem: group} of captures that show the same piece; groups.json beside the defects if there.
        held_out: Share of the real defects of each defect, by groups, that only judge, 0 to 0.5.
        rotate: Turn real regions by quarters; auto: not where surface or masks lie in one direction.
        base: Bundle to start from: "default", "none" (from scratch) or a file.
        procedural: Share of rendered surfaces with rendered defects in training, 0 to 1.
        max_steps: Steps in total; the learning rate decays to 0 over them, or over the time.
        max_time: Wall-clock limit HH:MM:SS; 20 minutes if neither limit is given.
        batch_size: Regions in a step.
        learning_rate: Peak learning rate.
        seed: Base seed.
        device: auto, cpu, cuda or cuda:N.
        workdir: Checkpoints, logs and sample sheets; <out without suffix>-fit by default.
        check_steps: Steps between looks at the defects held out.
        patience: Looks without a better loss after which training stops, 0 never; the best weights are kept.
        sheet_minutes: Minutes between sample sheets.
        no_bank: Do not keep the real masks, their places and the pictures of the defects in the bundle.
        no_exemplars: Keep masks and places, but no pictures of the defects.
        freeze: Learn nothing but the condition vectors of the defects in --defects.
        resume: Go on from the last checkpoint in workdir.
    """
    from anomalib_stage.training.fit import fit as run
    from anomalib_stage.training.report import format_report
    from anomalib_stage.weights.bundle import StageBundle

    written = run(
        out=out,
        normal=normal,
        defect_dir=defects,
        defect_mask_dir=masks,
        include=include,
        rename=rename,
        groups=groups,
        held_out=held_out,
        rotate=rotate,
        base=base,
        procedural=procedural,
        max_steps=max_steps,
        max_time=max_time,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        workdir=workdir,
        check_steps=check_steps,
        patience=patience,
        sheet_minutes=sheet_minutes,
        no_bank=no_bank,
        no_exemplars=no_exemplars,
        freeze=freeze,
        resume=resume,
    )
    yield from format_report(StageBundle.load(written).manifest.training)
    yield str(written)


def benchmark(
    *,
    data: Path,
    out: Path,
    sources: list[str] | None = None,
    split: Path | None = None,
    textures: Path | None = None,
    seeds: list[str] | None = None,
    steps: int = 400,
    pairs: int = 1000,
    size: int = 128,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    sampling_steps: int | None = None,
    negatives: float = 0.25,
    defects: list[str] | None = None,
    synthesis: dict[str, Any] | None = None,
    device: str = "auto",
) -> Iterator[str]:
    """Train the same small U-Net on anomalies from each source and score it on real defects.

    Args:
        data: Data set in MVTec layout: train/good, test/good, test/<defect>, ground_truth/<defect>.
        out: Folder for pools, runs and results; running again does only what is missing.
        sources: none, a bundle file, a sum (default+real); perlin cutpaste croppaste real default if not given.
        split: JSON file {defect: {"fit": [stems], "eval": [stems]}}; few_shot.json in data if not given.
        textures: Folder of texture images for perlin, such as DTD; noise colours if not given.
        seeds: Seeds of the networks; 0 1 2 if not given.
        steps: Training steps of each network.
        pairs: Pictures that each source makes.
        size: Side of the pictures in pixels.
        batch_size: Pictures in a step, half of them good (an eighth in sums with real).
        learning_rate: Peak learning rate.
        sampling_steps: Denoising steps of bundles; as many as their backbone needs if not given.
        negatives: Share of the good pictures that are re-synthesized, for bundles.
        defects: Defects that bundles paint, in turn; drawn from all of each bundle's if not given.
        synthesis: What differs from the default settings of painting, '{"masks": {"extent": [0.03, 0.6]}}' for example.
        device: auto, cpu, cuda or cuda:N.
    """
    from anomalib_stage.evaluation.detection.run import SOURCES, whole_numbers
    from anomalib_stage.evaluation.detection.run import benchmark as run

    with Progress("benchmark", 1) as progress:
        table = run(
            data=data,
            out=out,
            sources=sources or SOURCES,
            split=split,
            textures=textures,
            seeds=whole_numbers(seeds) if seeds else (0, 1, 2),
            steps=steps,
            pairs=pairs,
            size=size,
            batch_size=batch_size,
            learning_rate=learning_rate,
            sampling_steps=sampling_steps,
            negatives=negatives,
            defects=defects,
            synthesis=synthesis,
            device=device,
            progress=progress.say,
        )
    yield table


def inspect(file: str) -> Iterator[str]:
    """Print what a bundle is: backbone, defects, training, digest. Validates the whole file.

    Args:
        file: "default" or a bundle file.
    """
    from anomalib_stage.weights.bundle import StageBundle

    rows = StageBundle.load(file).describe()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield f"{name:<{width}}  {value}"
