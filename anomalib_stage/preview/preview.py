# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage preview``: what a bundle paints into given images, as a picture grid and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from anomalib_stage._version import __version__
from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.errors import InputError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.good_folder import find_good
from anomalib_stage.files.image_reader import ImageReader
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.pregeneration.planning.good_images import check_size
from anomalib_stage.preview.grid import draw_grid
from anomalib_stage.preview.page import build_page
from anomalib_stage.preview.rows import paint_rows
from anomalib_stage.seeds import derive_seed
from anomalib_stage.settings import build_settings
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.settings import SynthesisSettings

__all__ = ["preview"]

PAGE_SUFFIXES = (".html", ".htm")


@accept_old_names
def preview(
    *,
    data: Path,
    out: Path,
    html: Path | None = None,
    weights: str = "default",
    defects: Sequence[str] | None = None,
    count: int = 8,
    seed: int = 0,
    sampling_steps: int | None = None,
    strength: tuple[float, float] | None = None,
    foreground: Literal["auto", "none"] | None = None,
    synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
    device: str = "auto",
    size: int | None = None,
    white_level: int | None = None,
) -> Path:
    """Paint anomalies into some good images and show them: clean, mask, synthetic, difference x4, zoom.

    The grid and the page show the same pairs, which are painted once. The same arguments, weights and versions give the
    same files, byte for byte.

    Args:
        data (Path): Folder of good images (searched recursively), or a data set root with ``train/good``.
        out (Path): PNG grid to write.
        html (Path | None): Page to write too: one self-contained file with the pairs, histograms of mask size and
            visibility, the settings and the bundle card.
        weights (str): ``default`` or a bundle file.
        defects (Sequence[str] | None): Defects to paint in turn (also ``good``); None: every defect of the bundle in
            turn.
        count (int): Images to paint, spread over the folder.
        seed (int): Base seed.
        sampling_steps (int | None): Sampling steps, 4 to 1000; None: as many as the bundle's backbone needs.
        strength (tuple[float, float] | None): Weakest and strongest anomaly, in (0, 1]; None: full strength.
        foreground (Literal["auto", "none"] | None): ``auto``, the default, keeps masks on the object, ``none`` lets
            them lie anywhere.
        synthesis (SynthesisSettings | Mapping[str, Any] | None): What else differs from the default settings, such as
            ``{"gate": {"trim": True}}``; the three before have arguments of their own.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        size (int | None): Resize images to this side in pixels first; None: as they are.
        white_level (int | None): Largest value that a pixel can have in images with more than 8 bit, such as 4095;
            None: found over the folder.

    Returns:
        Path: The PNG grid.

    Raises:
        StageError: If an argument, image or bundle cannot be used; the message says which.
    """
    _check_arguments(out, html=html, count=count, size=size)
    settings = build_settings(synthesis, sampling_steps=sampling_steps, strength=strength, foreground=foreground)
    root, paths = find_good(data, flag="--data")
    reader = ImageReader(paths, white_level=white_level)
    # spread over the folder, not its first files
    chosen = [paths[i * len(paths) // count] for i in range(count)]
    images = reader.read_good(chosen, root=root, flag="--data")
    reader.say()
    for path, image in zip(chosen, images, strict=True):
        if size is None:
            check_size(path, image.shape)
    images = [_resize(image, size) for image in images] if size else images
    synthesizer = StageSynthesizer.from_pretrained(weights, device=device, synthesis=settings)
    defects = list(defects) if defects else list(synthesizer.defects)
    names = [path.relative_to(root).as_posix() for path in chosen]
    rows = paint_rows(
        synthesizer,
        images,
        defects=[defects[i % len(defects)] for i in range(count)],
        seeds=[derive_seed(seed, name, i) for i, name in enumerate(names)],
    )
    page = ""
    if html is not None:
        page = build_page(
            rows,
            names=names,
            settings={
                "data": data,
                "seed": seed,
                "size": f"{size} px" if size else "as it is",
                "device": synthesizer.device,
                **settings.model_dump(),
                "anomalib-stage": __version__,
            },
            card=synthesizer.bundle.describe(),
            min_visibility=settings.gate.min_visibility,
        )
    write_file(out, encode_png(draw_grid(rows)))
    if html is not None:
        write_file(html, page.encode())
    return out


def _check_arguments(out: Path, *, html: Path | None, count: int, size: int | None) -> None:
    if count < 1 or (size is not None and size < MIN_IMAGE_SIDE):
        msg = f"--count is {count} and --size {size}; count must be at least 1, size at least {MIN_IMAGE_SIDE} px"
        raise InputError(msg)
    if out.suffix.lower() != ".png":
        msg = f"--out {out} must be a .png file"
        raise InputError(msg)
    if html is not None and html.suffix.lower() not in PAGE_SUFFIXES:
        msg = f"--html {html} must be a .html file"
        raise InputError(msg)


def _resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
