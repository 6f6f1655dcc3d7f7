# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What do reading and checking cost of a pregeneration? Prints their share of its time, for each format.

    python docs/measure/reading_cost.py --size 512 --count 16

Rendered pictures are written in several formats and pregenerated from, with the default bundle. In the same run the
work that is not painting is done once more on one thread and timed: finding the folder's images and checking where they
lie, reading each for the plan (digest, size, orientation, whether it is a mask), the range of deep images, and reading
each for its batch.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from anomalib_stage.files.good_folder import find_good
from anomalib_stage.files.white_level import find_white_level
from anomalib_stage.pregeneration.planning.good_images import find_sources
from anomalib_stage.pregeneration.run import pregenerate
from anomalib_stage.pregeneration.source_batch import load_source
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import numpy_generator

FORMATS = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "tiff of 12 bit": ".tif"}


def write(folder: Path, kind: str, *, size: int, count: int) -> None:
    """Write rendered surfaces."""
    folder.mkdir()
    for number in range(count):
        surface = render_surface((size, size), rng=numpy_generator(number, "surface"), family="cast")
        pixels = (surface[..., ::-1] * 255).round().astype(np.uint8)
        if kind == "tiff of 12 bit":
            pixels = (surface[..., 0] * 4095).round().astype(np.uint16)
        cv2.imwrite(str(folder / f"{number:03d}{FORMATS[kind]}"), pixels)


def read_all(folder: Path, count: int) -> None:
    """Do everything that a pregeneration does with its files before it paints."""
    root, paths = find_good(folder, flag="--data")
    sources, _ = find_sources(paths, root=root, limit=count, skip=False)
    white = find_white_level(paths)
    for source in sources:
        load_source(source, "folder", white)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the pictures in pixels")
    parser.add_argument("--count", type=int, default=16, help="pictures of each format")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| format | pregenerate, s a pair | reading and checking, s a picture | share |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in FORMATS:
            data = Path(scratch, kind)
            write(data, kind, size=given.size, count=given.count)
            read_all(data, given.count)  # files come from memory in both
            start = time.perf_counter()
            pregenerate(data=data, out=Path(scratch, f"{kind} out"), count=given.count, device=given.device)
            whole = time.perf_counter() - start
            start = time.perf_counter()
            read_all(data, given.count)
            read = time.perf_counter() - start
            print(f"| {kind} | {whole / given.count:.3f} | {read / given.count:.4f} | {read / whole:.1%} |")


if __name__ == "__main__":
    main()
