# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What do the foreground and the gate cost? Prints their share of the time of a synthesis.

    python docs/measure/gate_cost.py --data GOOD --rounds 7

Two numbers: the share of a synthesis that goes into finding foregrounds, each of them for the first time, and into
measuring visibility; and how much longer all takes, pictures painted again included, than with ``foreground="none"``
and ``min_visibility=0``. Runs with and without alternate; medians over the rounds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from anomalib_stage import StageSynthesizer
from anomalib_stage.files.good_folder import find_good_folder
from anomalib_stage.files.images import find_images, read_image
from anomalib_stage.settings import GateSettings, MaskSettings, SynthesisSettings

PLAIN = SynthesisSettings(masks=MaskSettings(foreground="none"), gate=GateSettings(min_visibility=0.0))


CHECKED = ("stage::foreground", "stage::visibility")
"""Ranges of a synthesis that look for the object, and at what is visible."""


def now() -> float:
    """Seconds, after all work on the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="images in a batch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    paths = find_images(find_good_folder(given.data))
    first = read_image(paths[0])
    same = [pixels for path in paths if (pixels := read_image(path)).shape == first.shape][: given.count]
    images = torch.from_numpy(np.stack(same)).permute(0, 3, 1, 2).float() / 255.0

    def run(settings: SynthesisSettings, seed: int) -> float:
        # a fresh one each time: a synthesizer remembers the foregrounds of images that it has seen
        synthesizer = StageSynthesizer.from_pretrained(given.weights, device=given.device, synthesis=settings)
        start = now()
        synthesizer(images, seeds=seed)
        return now() - start

    def share(seed: int) -> float:
        synthesizer = StageSynthesizer.from_pretrained(given.weights, device=given.device)
        start = now()
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            synthesizer(images, seeds=seed)
        seconds = now() - start
        return sum(e.cpu_time_total for e in profiled.key_averages() if e.key in CHECKED) / 1e6 / seconds

    run(SynthesisSettings(), 0)
    shares, full, plain = [], [], []
    for seed in range(1, given.rounds + 1):
        full.append(run(SynthesisSettings(), seed))
        shares.append(share(seed))
        plain.append(run(PLAIN, seed))
    each = 1000.0 / len(images)
    print(f"{len(images)} images of {images.shape[3]} x {images.shape[2]} px, {given.rounds} rounds")
    print(f"foreground and measuring: {np.median(shares):.1%} of the synthesis")
    print(f"with foreground and gate: {np.median(full) * each:.0f} ms a pair")
    print(f"without:                  {np.median(plain) * each:.0f} ms a pair")
    print(f"all, painting again included: {np.median(np.array(full) / np.array(plain)):.2f} times as long")


if __name__ == "__main__":
    main()
