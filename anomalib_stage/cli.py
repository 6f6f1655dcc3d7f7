# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The ``anomalib-stage`` command.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
torch is imported when a command runs, not for ``--help``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anomalib_stage import __version__
from anomalib_stage.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]


def pregenerate(
    *,
    data: Path,
    out: Path,
    count: int,
    weights: str = "default",
    defects: list[str] | None = None,
    masks: Path | None = None,
    seed: int = 0,
    steps: int = 20,
    strength: tuple[float, float] = (1.0, 1.0),
    foreground: Literal["auto", "none"] = "auto",
    min_visibility: float | None = None,
    trim: bool = False,
    batch_size: int = 8,
    device: str = "auto",
    layout: Literal["folder", "mvtec"] = "folder",
    on_unreadable: Literal["fail", "skip"] = "fail",
) -> None:
    """Write synthetic image and mask pairs to a folder.

    Args:
        data: Folder of good images (searched recursively), or a data set root with train/good.
        out: Folder to write; must be absent or empty, and outside the good images.
        count: Number of pairs.
        weights: "default" or a bundle file.
        defects: Kinds to paint, one or more; all kinds of the bundle if not given.
        masks: Folder of masks to use in turn, each of its image's size; drawn if not given.
        seed: Base seed; the same arguments give the same files.
        steps: Sampling steps, 4 to 1000.
        strength: Weakest and strongest anomaly, each in (0, 1]: how far a picture leaves the clean surface.
        foreground: "auto" keeps drawn masks on the object, "none" lets them lie anywhere.
        min_visibility: Least change inside a mask, 1 = that of repainted good surface; 0: any; 1.2 if not given.
        trim: Take pixels without visible change out of the masks.
        batch_size: Pairs painted together.
        device: auto, cpu, cuda or cuda:N.
        layout: "folder" (image/<kind>, mask/<kind>) or "mvtec" (a category that anomalib's MVTecAD reads).
        on_unreadable: What to do with an image that cannot be used.
    """
    from anomalib_stage.offline.pregenerate import pregenerate as run

    with _Progress("painting", count) as progress:
        result = run(
            data=data,
            out=out,
            count=count,
            weights=weights,
            defects=defects,
            masks=masks,
            seed=seed,
            steps=steps,
            strength=strength,
            foreground=foreground,
            min_visibility=min_visibility,
            trim=trim,
            batch_size=batch_size,
            device=device,
            layout=layout,
            on_unreadable=on_unreadable,
            progress=progress,
        )
    print(json.dumps(result))


def preview(
    *,
    data: Path,
    out: Path,
    html: Path | None = None,
    weights: str = "default",
    defects: list[str] | None = None,
    count: int = 8,
    seed: int = 0,
    steps: int = 20,
    strength: tuple[float, float] = (1.0, 1.0),
    foreground: Literal["auto", "none"] = "auto",
    device: str = "auto",
    size: int | None = None,
) -> None:
    """Show what a bundle paints, as a PNG grid and a page: clean, mask, synthetic, difference x4, zoom.

    Args:
        data: Folder of good images (searched recursively), or a data set root with train/good.
        out: PNG grid to write.
        html: Page to write too, one file: flip between clean and synthetic, filter by kind, histograms, settings.
        weights: "default" or a bundle file.
        defects: Kinds to paint in turn, one or more ("good" too); all kinds of the bundle if not given.
        count: Images to paint, spread over the folder.
        seed: Base seed.
        steps: Sampling steps, 4 to 1000.
        strength: Weakest and strongest anomaly, each in (0, 1].
        foreground: "auto" keeps masks on the object, "none" lets them lie anywhere.
        device: auto, cpu, cuda or cuda:N.
        size: Resize images to this side in pixels first.
    """
    from anomalib_stage.offline.preview import preview as run

    print(
        run(
            data=data,
            out=out,
            html=html,
            weights=weights,
            defects=defects,
            count=count,
            seed=seed,
            steps=steps,
            strength=strength,
            foreground=foreground,
            device=device,
            size=size,
        )
    )
    if html is not None:
        print(html)


def fit(
    *,
    out: Path,
    normal: Path | None = None,
    defects: Path | None = None,
    masks: Path | None = None,
    include: Path | None = None,
    rename: dict[str, str] | None = None,
    base: str = "default",
    procedural: float = 0.25,
    max_steps: int | None = None,
    max_time: str | None = None,
    batch_size: int = 16,
    learning_rate: float = 4e-4,
    seed: int = 0,
    device: str = "auto",
    workdir: Path | None = None,
    sheet_minutes: float = 5.0,
    no_bank: bool = False,
    resume: bool = False,
) -> None:
    """Train a denoiser on good images, real defects and rendered ones, and write its bundle.

    Args:
        out: Bundle to write (.safetensors).
        normal: Folder of good images, searched recursively.
        defects: Folder with one sub-folder of defect images for each kind.
        masks: Folder with the same sub-folders of masks, <stem>_mask.png or <stem>.png.
        include: JSON file {kind: [stems]} or {kind: {"fit": [stems]}} of the defects to use.
        rename: Names to learn folders under, {folder: kind}; two folders may share one.
        base: Bundle to start from: "default", "none" (from scratch) or a file.
        procedural: Share of rendered surfaces with rendered defects in training, 0 to 1.
        max_steps: Steps in total; the learning rate then decays to 0 over them.
        max_time: Wall-clock limit HH:MM:SS; 20 minutes if neither limit is given.
        batch_size: Regions in a step.
        learning_rate: Peak learning rate.
        seed: Base seed.
        device: auto, cpu, cuda or cuda:N.
        workdir: Checkpoints, logs and sample sheets; <out without suffix>-fit by default.
        sheet_minutes: Minutes between sample sheets and held-out losses.
        no_bank: Do not keep the real masks and their places in the bundle.
        resume: Go on from the last checkpoint in workdir.
    """
    from anomalib_stage.training.fit import fit as run

    print(
        run(
            out=out,
            normal=normal,
            defects=defects,
            masks=masks,
            include=include,
            rename=rename,
            base=base,
            procedural=procedural,
            max_steps=max_steps,
            max_time=max_time,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            workdir=workdir,
            sheet_minutes=sheet_minutes,
            no_bank=no_bank,
            resume=resume,
        )
    )


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
    sampling_steps: int = 20,
    negatives: float = 0.25,
    device: str = "auto",
) -> None:
    """Train the same small U-Net on anomalies from each source and score it on real defects.

    Args:
        data: Data set in MVTec layout: train/good, test/good, test/<kind>, ground_truth/<kind>.
        out: Folder for pools, runs and results; running again does only what is missing.
        sources: none, perlin, cutpaste, croppaste, real, default, bundle files, and sums such as default+real;
            perlin, cutpaste, croppaste, real and default if not given.
        split: JSON file {kind: {"fit": [stems], "eval": [stems]}}; few_shot.json in data if not given.
        textures: Folder of texture images for perlin, such as DTD; noise colours if not given.
        seeds: Seeds of the networks; 0 1 2 if not given.
        steps: Training steps of each network.
        pairs: Pictures that each source makes.
        size: Side of the pictures in pixels.
        batch_size: Pictures in a step, half of them good.
        learning_rate: Peak learning rate.
        sampling_steps: Denoising steps of bundles.
        negatives: Share of the good pictures that are re-synthesized, for bundles.
        device: auto, cpu, cuda or cuda:N.
    """
    from anomalib_stage.benchmark.run import SOURCES, whole_numbers
    from anomalib_stage.benchmark.run import benchmark as run

    with _Progress("benchmark", 1) as progress:
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
            device=device,
            progress=progress.say,
        )
    print(table)


def inspect(file: str) -> None:
    """Print what a bundle is: backbone, kinds, training, digest. Validates the whole file.

    Args:
        file: "default" or a bundle file.
    """
    from anomalib_stage.weights.bundle import StageBundle

    rows = StageBundle.load(file).describe()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


COMMANDS: dict[str, Callable[..., None]] = {
    "pregenerate": pregenerate,
    "preview": preview,
    "fit": fit,
    "benchmark": benchmark,
    "inspect": inspect,
}

INTERRUPTED = {
    "benchmark": "run the same command again to go on",
    "fit": "run the same command with --resume to go on",
    "pregenerate": "the pairs written so far are whole, but there is no manifest; remove the folder to start again",
}
"""What to do after Ctrl-C."""


class _Progress:
    """A rich progress bar on stderr where that is a terminal; otherwise nothing."""

    def __init__(self, what: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.console = Console(stderr=True)
        self.bar = Progress(console=self.console, disable=not sys.stderr.isatty())
        self.task = self.bar.add_task(what, total=max(total, 1))

    def __enter__(self) -> _Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)

    def say(self, what: str, done: int, total: int) -> None:
        """Show what is done, too."""
        self.bar.update(self.task, description=what)
        self(done, total)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv (Sequence[str] | None): Arguments without the program's name; None for the process's own.

    Returns:
        int: Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    from jsonargparse import CLI

    from anomalib_stage.parser import PROGRAM, Parser, dashed

    arguments = dashed(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("anomalib_stage").setLevel(logging.INFO)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it reports unreadable files in its own words; so do we
    try:
        CLI(COMMANDS, as_positional=False, args=arguments, parser_class=Parser, prog=PROGRAM, version=__version__)
    except StageError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        hint = INTERRUPTED.get(arguments[0], "nothing was written")
        print(f"{PROGRAM}: interrupted; {hint}", file=sys.stderr)
        return 130
    except SystemExit as stop:  # argparse: 0 for --help, 2 for wrong usage
        return stop.code if isinstance(stop.code, int) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
