# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The ``anomalib-stage`` command.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted,
143 terminated. torch is imported when a command runs, not for ``--help``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anomalib_stage import __version__
from anomalib_stage.commands import pregenerate, verify
from anomalib_stage.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["main"]


def preview(
    *,
    data: Path,
    out: Path,
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
    """Write a PNG grid of what a bundle paints: clean, mask, synthetic, difference x4, zoom.

    Args:
        data: Folder of good images (searched recursively), or a data set root with train/good.
        out: PNG to write.
        weights: "default" or a bundle file.
        defects: Kinds to paint in turn, one or more ("good" too); all kinds of the bundle if not given.
        count: Rows of the grid.
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
    noise_offset: float | None = None,
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
        noise_offset: Offset of the noise to paint from; the base's, or 0.12 from scratch, if not given.
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
            noise_offset=noise_offset,
            seed=seed,
            device=device,
            workdir=workdir,
            sheet_minutes=sheet_minutes,
            no_bank=no_bank,
            resume=resume,
        )
    )


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


COMMANDS: dict[str, Callable[..., Iterator[str] | None]] = {
    "pregenerate": pregenerate,
    "verify": verify,
    "preview": preview,
    "fit": fit,
    "inspect": inspect,
}

INTERRUPTED = {
    "fit": "run the same command with --resume to go on",
    "pregenerate": "the pairs finished so far are kept, run the same command again to go on",
}
"""What to do after Ctrl-C."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it: an interruption with its own exit status."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt like Ctrl-C, so that everything is put away."""

    def stop(*_: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv (Sequence[str] | None): Arguments without the program's name; None for the process's own.

    Returns:
        int: Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    from jsonargparse import CLI

    from anomalib_stage.parser import PROGRAM, Parser, dashed

    arguments = dashed(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    first = os.environ.get("LOCAL_RANK", "0") == "0"  # of several processes on a machine
    logging.getLogger("anomalib_stage").setLevel(logging.INFO if first else logging.ERROR)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it reports unreadable files in its own words; so do we
    try:
        with _terminable():
            lines = CLI(
                COMMANDS, as_positional=False, args=arguments, parser_class=Parser, prog=PROGRAM, version=__version__
            )
            for line in lines or ():
                print(line)
    except StageError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        hint = INTERRUPTED.get(arguments[0], "nothing was written")
        print(f"{PROGRAM}: interrupted; {hint}", file=sys.stderr)
        return 143 if isinstance(stopped, _Terminated) else 130
    except SystemExit as stop:  # argparse: 0 for --help, 2 for wrong usage
        return stop.code if isinstance(stop.code, int) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
