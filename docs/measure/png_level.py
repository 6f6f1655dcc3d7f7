# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Size and time of PNG files at levels of compression, on rendered surfaces: `python docs/measure/png_level.py`."""

import time

import cv2
import numpy as np

from anomalib_stage.rendering.surfaces import SURFACES, render_surface
from anomalib_stage.seeds import numpy_generator


def main() -> None:
    """Print a line for each level."""
    images = [
        (render_surface((256, 256), rng=numpy_generator(0, "png", family), family=family) * 255 + 0.5).astype(np.uint8)
        for family in SURFACES
    ]
    for level in (1, 6, 9):
        start = time.perf_counter()
        size = sum(len(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, level])[1]) for image in images)
        each = (time.perf_counter() - start) / len(images) * 1e3
        print(f"level {level}: {size / sum(image.nbytes for image in images):.0%} of raw, {each:.1f} ms a picture")


if __name__ == "__main__":
    main()
