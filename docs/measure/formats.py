# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which image files work where? Tries every format in every way of use and writes docs/reference/formats.md.

    python docs/measure/formats.py

A small set is written in each format and given to the real thing: a training with ``StageFolder``, a bank made of
it, ``pregenerate`` in both layouts, ``preview``, and what ``fit`` and ``benchmark`` read. A cell is ``yes``, or the
reason of the refusal.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from anomalib_stage import StageFolder  # noqa: E402 - the checkout's tests are beside docs
from anomalib_stage.errors import StageError  # noqa: E402
from anomalib_stage.evaluation.dataset import load_data  # noqa: E402
from anomalib_stage.plugin.pairs.bank import PairBank  # noqa: E402
from anomalib_stage.pregeneration.run import pregenerate  # noqa: E402
from anomalib_stage.preview.preview import preview  # noqa: E402
from anomalib_stage.training.data.load import load_pictures  # noqa: E402
from tests.conftest import make_tiny_bundle  # noqa: E402
from tests.files.pictures import DEEP, EIGHT_BIT, draw_surface, write_picture  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAGE = ROOT / "docs" / "reference" / "formats.md"

WAYS = ("train live", "bank", "pregenerate", "layout mvtec", "preview", "fit", "benchmark")

REASONS = {
    "16-bit grey, which anomalib reads as white": "no (1)",
    "16-bit colour of a sensor with fewer bits": "no (2)",
}
"""Part of a refusal to what stands in the table."""

HEAD = """# Formats

Which image files work in which way of use, tried with small files by `python docs/measure/formats.py`; a test
compares this page with what happens. `yes` is said where the thing was done; what is refused is refused before
anything is trained or painted, with the name of the file and the reason.

"""

FOOT = """
1. anomalib's reader turns 16-bit grey white. Convert to 8 bit with the range of the sensor; `pregenerate --layout
   mvtec` does that for pairs.
2. anomalib's reader keeps the high byte of 16-bit colour; of a sensor of 10 to 14 bit nearly nothing is left.

**8 bit.** Pictures are decoded as anomalib decodes them (Pillow), so outside its mask a pair is for anomalib what the
source is, to the bit: alpha is not multiplied in, grey and alpha keep their channels, of several pages the first is
read, palettes and CMYK become RGB, 1 bit becomes grey.

**More than 8 bit.** Stored values are kept to the bit outside the mask. White is the range of the sensor, found over
the set or given (`--white-level`); painted values stay below it, and whatever needs 8 bit (`preview`, `fit`,
`benchmark`, layout `mvtec`) reads them in that range. Float, signed, 32-bit and grey with alpha of 16 bit are
refused.

**EXIF.** Pictures are taken as stored, whatever their orientation tag says, as anomalib takes them; that there is a
tag is said once. TIFF files are turned by Pillow, and so by anomalib and here.

**Masks.** PNG, BMP, TIFF, PGM, PPM, JPEG and WebP, 1, 8 or 16 bit, grey, colour or palette: whatever is not black is
marked, as in anomalib. In JPEG and WebP, values up to a quarter of the brightest are traces of compression.

**Passed over, and counted**: hidden files and folders, folders of systems (`@eaDir`, `__MACOSX`, `lost+found`),
linked folders, and files with other endings than .bmp .jpeg .jpg .pgm .png .ppm .tif .tiff .webp.
"""


def write_set(root: Path, kind: str) -> None:
    """Write a data set in MVTec layout whose pictures have one format."""
    for number in range(3):
        write_picture(root / "train" / "good" / str(number), kind, draw_surface(number))
        write_picture(root / "test" / "good" / str(number), kind, draw_surface(10 + number))
        surface, mask = draw_surface(20 + number), np.zeros((64, 64), np.uint8)
        cv2.circle(mask, (20 + 8 * number, 30), 7, 255, -1)
        surface[mask > 0] //= 3
        write_picture(root / "test" / "dark" / str(number), kind, surface)
        (root / "ground_truth" / "dark").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "ground_truth" / "dark" / f"{number}_mask.png"), mask)
    (root / "few_shot.json").write_text(json.dumps({"dark": {"fit": ["0"], "eval": ["1", "2"]}}))


def list_ways(root: Path, scratch: Path, weights: str) -> dict[str, Callable[[], Any]]:
    """Return what does each thing with a set."""
    options: dict[str, Any] = {"weights": weights, "sampling_steps": 4, "device": "cpu"}
    painting = {**options, "data": root, "count": 6, "min_visibility": 0.0}

    def train() -> None:
        module = StageFolder(
            "train/good", root=root, normal_test_dir="test/good", val_split_mode="none", test_split_mode="from_dir"
        )
        module.setup("fit")
        assert bool(module.train_data[0].image.std() > 0.01)  # neither white nor black

    def open_bank() -> None:
        bank = PairBank.open(scratch / "pairs")
        assert bool(bank.read(bank.pairs[0])[0].std() > 0.01)

    return {
        "pregenerate": lambda: pregenerate(out=scratch / "pairs", **painting),
        "layout mvtec": lambda: pregenerate(out=scratch / "mvtec", layout="mvtec", **painting),
        "bank": open_bank,
        "train live": train,
        "preview": lambda: preview(data=root, out=scratch / "preview.png", count=1, **options),
        "fit": lambda: load_pictures(
            normal=root, defect_dir=root / "test", defect_mask_dir=root / "ground_truth", white_level=None
        ),
        "benchmark": lambda: load_data(root, split=root / "few_shot.json", size=64),
    }


def try_format(kind: str, scratch: Path, weights: str) -> dict[str, str]:
    """Do each thing with a format; returns the cells of its row."""
    root = scratch / "set"
    write_set(root, kind)
    return {way: _try(do) for way, do in list_ways(root, scratch, weights).items()}


def _try(do: Callable[[], Any]) -> str:
    try:
        do()
    except StageError as error:
        short = next((cell for part, cell in REASONS.items() if part in str(error)), "")
        return short or f"no: {str(error).split(': ', 1)[-1]}"
    return "yes"


def build_rows(kinds: Iterable[str]) -> list[str]:
    """Try some formats; returns the rows of the table."""
    lines = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anomalib leaves files of several pages open
        weights = str(make_tiny_bundle().save(Path(folder) / "tiny.safetensors"))
        for number, kind in enumerate(kinds):
            scratch = Path(folder, str(number))
            cells = try_format(kind, scratch, weights)
            lines.append(f"| {kind} | " + " | ".join(cells[way] for way in WAYS) + " |")
    return lines


def build_page() -> str:
    """Try everything and return the page."""
    head = ["| file | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 1) + "|"]
    return HEAD + "\n".join([*head, *build_rows(EIGHT_BIT | DEEP)]) + "\n" + FOOT


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    PAGE.write_text(build_page())
    print(PAGE.read_text())
