# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Make the contact sheet of the README: `python docs/images/contact_sheet.py docs/images/contact_sheet.png`.

Eight rendered surfaces that the bundle has never seen (their seeds are not the training's), one defect each,
unsorted: nothing is picked by hand.
"""

import sys
from pathlib import Path

import numpy as np

from anomalib_stage import StageSynthesizer
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.preview.grid import draw_grid
from anomalib_stage.preview.rows import paint_rows
from anomalib_stage.rendering.surfaces import render_surface
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import MaskSettings, SynthesisSettings

FAMILIES = ("brushed_metal", "leather", "cast", "wood", "woven", "object", "machined", "plain")


def main(out: Path) -> None:
    """Write the sheet."""
    settings = SynthesisSettings(masks=MaskSettings(extent=(0.1, 0.3)))
    synthesizer = StageSynthesizer.from_pretrained("default", device="cpu", synthesis=settings)
    images = [
        (render_surface((256, 256), rng=numpy_generator(2026, "contact sheet", family), family=family) * 255 + 0.5)
        for family in FAMILIES
    ]
    rows = paint_rows(
        synthesizer,
        [image.astype(np.uint8) for image in images],
        defects=synthesizer.defects[: len(images)],
        seeds=[derive_seed(2026, family) for family in FAMILIES],
    )
    write_file(out, encode_png(draw_grid(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
