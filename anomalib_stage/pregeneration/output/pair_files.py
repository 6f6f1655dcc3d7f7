# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a pair: their names in a layout and their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import count_colours, encode_png, reduce_to_eight_bit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from anomalib_stage.files.pixels import Pixels
    from anomalib_stage.pregeneration.planning.plan import Item
    from anomalib_stage.pregeneration.planning.spec import Layout

__all__ = ["Picture", "convert_for_layout", "name_pair_files", "write_pair"]

PAIR_FILES = {
    "folder": {"image": "image/{defect}/{name}.png", "mask": "mask/{defect}/{name}.png"},
    "mvtec": {
        "image": "test/stage_{defect}/{name}.png",
        "mask": "ground_truth/stage_{defect}/{name}_mask.png",
    },
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A painted image in the depth and the channels of its source.

    Args:
        before (Pixels): Source.
        painted (NDArray[np.float32]): ``(3, H, W)`` in [0, 1].
        mask (NDArray[np.bool_]): ``(H, W)``; without a pixel: nothing visible could be painted.
        visibility (float): Change inside the mask.
        white_level (int | None): Value of white in pixels with more than 8 bit; None: the largest of the type.
    """

    before: Pixels
    painted: NDArray[np.float32]
    mask: NDArray[np.bool_]
    visibility: float
    white_level: int | None = None

    @property
    def white(self) -> int:
        """Value of white in the source."""
        deep = self.before.dtype != np.uint8 and self.white_level is not None
        return self.white_level if deep and self.white_level else int(np.iinfo(self.before.dtype).max)

    @property
    def after(self) -> Pixels:
        """The source with the painted pixels in it: outside the mask it is the source, to the bit."""
        after = self.before.copy()
        new = (self.painted[:, self.mask] * np.float32(self.white)).round().astype(after.dtype).T
        colours = count_colours(after)  # a grey source is painted in three equal channels
        after.reshape(*after.shape[:2], -1)[self.mask, :colours] = new[:, :colours]
        return after


def convert_for_layout(stored: Pixels, layout: Layout, white_level: int | None) -> Pixels:
    """Return the pixels that a layout keeps of a source.

    ``folder`` keeps depth and channels. ``mvtec`` is read by anomalib, which takes 16-bit grey for white: 8 bit, where
    the white level becomes 255.
    """
    return reduce_to_eight_bit(stored, white_level) if layout == "mvtec" else stored


def name_pair_files(item: Item, layout: Layout) -> dict[str, str]:
    """Return the names of ``image`` and ``mask``, relative to the folder that is written."""
    return {what: pattern.format(defect=item.defect, name=item.name) for what, pattern in PAIR_FILES[layout].items()}


def write_pair(item: Item, picture: Picture, *, out: Path, layout: Layout) -> dict[str, Any]:
    """Write a pair that can be seen.

    Returns:
        dict[str, Any]: What :class:`~anomalib_stage.pregeneration.output.manifest.PairRecord` says of its files and
        pixels.

    Raises:
        DataError: If a file cannot be written.
    """
    after, names = picture.after, name_pair_files(item, layout)
    written: dict[str, Any] = {
        "mask_area": int(picture.mask.sum()),
        "visibility": round(picture.visibility, 3),
        "mean_change": _compute_mean_change(picture, after),
    }
    for what, pixels in (("image", after), ("mask", picture.mask.astype(np.uint8) * np.uint8(255))):
        if not picture.mask.any():
            written |= {what: None, f"{what}_sha256": None}
            continue
        content = encode_png(pixels)
        write_file(out / names[what], content)
        written |= {what: names[what], f"{what}_sha256": hashlib.sha256(content).hexdigest()}
    return written


def _compute_mean_change(picture: Picture, after: Pixels) -> float:
    """Mean over the mask of the largest change of a channel, in grey levels of 0 to 255."""
    change = np.abs(after[picture.mask].astype(np.int32) - picture.before[picture.mask]) * (255.0 / picture.white)
    largest = change if change.ndim == 1 else change.max(axis=1)
    return round(float(largest.mean()), 2) if largest.size else 0.0
