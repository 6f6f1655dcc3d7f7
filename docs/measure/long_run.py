# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Does the memory of a long pregeneration stay flat, and is the synthesizer kept busy? Measures one run.

    python docs/measure/long_run.py --out OUT --count 10000 --size 64

Runs ``anomalib-stage pregenerate`` on good images that are rendered for it (``--data`` takes others), and looks all the
while at the resident memory of its process and of all that it has started, and at the pairs that are finished. Writes
``long_run.png`` and ``long_run.json`` into OUT, beside the images and the pairs. Needs /proc, hence Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pregeneration.output.entries import find_shards
from anomalib_stage.pregeneration.versions import list_versions
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import numpy_generator

PROC = Path("/proc")
MIB = float(1 << 20)


class Sample(NamedTuple):
    """A look at the run: seconds since its start, pairs finished, MiB of resident memory."""

    seconds: float
    pairs: int
    memory: float


class Lines:
    """Counts the lines of a job's shards; what was counted stays counted when the shards are merged."""

    def __init__(self, out: Path) -> None:
        self._out, self._read, self.count = out, dict[Path, int](), 0

    def more(self) -> int:
        """Return the number of lines so far."""
        for path in find_shards(self._out):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:  # merged meanwhile
                stream.seek(self._read.get(path, 0))
                new = stream.read()
                self._read[path] = self._read.get(path, 0) + len(new)
                self.count += new.count(b"\n")
        return self.count


def family(process: int) -> set[int]:
    """Return the numbers of a process and of all that it has started."""
    parents = {}
    for stat in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def resident(process: int) -> float:
    """Return the resident memory of a process and of all that it has started, in MiB; shared pages count twice."""
    pages = 0
    for number in family(process):
        with contextlib.suppress(OSError):
            pages += int((PROC / str(number) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def watch(command: list[str], out: Path, *, interval: float) -> tuple[dict[str, Any], list[Sample]]:
    """Run ``pregenerate`` and look at it; returns what it printed and the looks."""
    lines, samples, start = Lines(out), list[Sample](), time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            samples.append(Sample(time.monotonic() - start, lines.more(), resident(run.pid)))
            time.sleep(interval)
        seconds = time.monotonic() - start
        printed = run.stdout.read() if run.stdout else ""
    if run.returncode:
        sys.exit(run.returncode)
    result = json.loads(printed)
    samples = [look for look in samples if look.memory]  # a process that is ending has none left
    # the shards may have been merged since the last look, and nothing was finished before this run
    return result, [*samples, Sample(seconds, result["painted"], samples[-1].memory)]


def summary(result: dict[str, Any], samples: list[Sample], count: int) -> dict[str, Any]:
    """Return the numbers; the first tenth of the pairs begins with the process, the last ends with it."""
    first = [look.memory for look in samples if look.pairs <= count / 10]
    last = [look.memory for look in samples if look.pairs >= count * 9 / 10]
    return {
        "pairs_per_second": result["pairs_per_second"],
        "busy": result["busy"],
        "seconds": round(samples[-1].seconds, 1),
        "peak_first_tenth_mib": round(max(first), 1),
        "peak_last_tenth_mib": round(max(last), 1),
        "peak_mib": round(max(look.memory for look in samples), 1),
    }


def figure(samples: list[Sample], found: dict[str, Any]) -> bytes:
    """Draw pairs and memory over time; returns a PNG file."""
    plot = Figure(figsize=(7.0, 4.2), layout="constrained")
    above, below = plot.subplots(2, 1, sharex=True)
    minutes = [look.seconds / 60 for look in samples]
    above.plot(minutes, [look.pairs for look in samples], color="#4878a8")
    above.set_ylabel("pairs finished")
    above.set_title(f"{found['pairs_per_second']} pairs a second, synthesizer busy {found['busy']:.1%}", fontsize=10)
    below.plot(minutes, [look.memory for look in samples], color="#a85048")
    below.set_ylabel("resident memory, MiB")
    below.set_ylim(bottom=0)
    below.set_xlabel("minutes")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    FigureCanvasAgg(plot).print_png(stream)
    return stream.getvalue()


def render(folder: Path, *, count: int, side: int) -> Path:
    """Render good images of all families of surfaces."""
    for i in range(count):
        pixels = render_surface((side, side), rng=numpy_generator(0, "long run", i))
        write_file(folder / f"{i:04d}.png", encode_png((pixels * 255).round().astype(np.uint8)))
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="empty or absent folder")
    parser.add_argument("--count", type=int, default=10_000, help="pairs")
    parser.add_argument("--data", type=Path, help="good images; rendered if not given")
    parser.add_argument("--images", type=int, default=256, help="good images to render")
    parser.add_argument("--size", type=int, default=64, help="their side in pixels")
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between two looks")
    given = parser.parse_args()
    if not (PROC / "self" / "statm").exists():
        parser.error("there is no /proc here; run it on Linux")
    if given.out.exists() and any(given.out.iterdir()):
        parser.error(f"--out {given.out} is not empty; a run that goes on with another one measures nothing")
    data = given.data or render(given.out / "good", count=given.images, side=given.size)
    options = {"data": data, "out": given.out / "pairs", "count": given.count, "weights": given.weights}
    options |= {"sampling-steps": given.sampling_steps, "batch-size": given.batch_size, "device": given.device}
    command = [sys.executable, "-m", "anomalib_stage", "pregenerate"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    result, samples = watch(command, given.out / "pairs", interval=given.interval)
    found = summary(result, samples, given.count)
    shown = {name: str(value) for name, value in options.items() if name not in ("data", "out")}
    shown |= {"data": "given" if given.data else f"{given.images} rendered images of {given.size} px"}
    machine = {"cpus": len(os.sched_getaffinity(0)), "threads": os.environ.get("OMP_NUM_THREADS"), **list_versions()}
    report = {**found, "options": shown, "machine": machine, "result": {**result, "out": "pairs"}, "samples": samples}
    write_file(given.out / "long_run.json", (json.dumps(report) + "\n").encode())
    write_file(given.out / "long_run.png", figure(samples, found))
    print(f"{result['painted']} places of the plan painted, {result['rejected']} of them rejected")
    print(f"pairs a second:      {found['pairs_per_second']} ({found['seconds']} s in all, start and end included)")
    print(f"synthesizer busy:    {found['busy']:.1%}")
    print(f"peak of the memory:  {found['peak_first_tenth_mib']} MiB in the first tenth of the pairs")
    print(f"                     {found['peak_last_tenth_mib']} MiB in the last tenth, {found['peak_mib']} MiB in all")


if __name__ == "__main__":
    main()
