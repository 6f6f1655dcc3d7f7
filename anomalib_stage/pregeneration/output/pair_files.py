# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a pair: their names in a layout and their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png, reduce_to_eight_bit

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
    """

    before: Pixels
    painted: NDArray[np.float32]
    mask: NDArray[np.bool_]
    visibility: float

    @property
    def after(self) -> Pixels:
        """The source with the painted pixels in it: outside the mask it is the source, to the bit."""
        after = self.before.copy()
        most = np.iinfo(after.dtype).max
        new = (self.painted[:, self.mask] * np.float32(most)).round().astype(after.dtype).T
        if after.ndim == 2:
            after[self.mask] = new[:, 0]  # a grey source is painted in three equal channels
        else:
            after[self.mask, :3] = new
        return after


def convert_for_layout(stored: Pixels, layout: Layout) -> Pixels:
    """Return the pixels that a layout keeps of a source.

    ``folder`` keeps depth and channels. ``mvtec`` is read by anomalib, which takes 16-bit grey for white: 8 bit.
    """
    return reduce_to_eight_bit(stored) if layout == "mvtec" else stored


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
        "mean_change": _compute_mean_change(picture.before, after, picture.mask),
    }
    for what, pixels in (("image", after), ("mask", picture.mask.astype(np.uint8) * np.uint8(255))):
        if not picture.mask.any():
            written |= {what: None, f"{what}_sha256": None}
            continue
        content = encode_png(pixels)
        write_file(out / names[what], content)
        written |= {what: names[what], f"{what}_sha256": hashlib.sha256(content).hexdigest()}
    return written


def _compute_mean_change(before: Pixels, after: Pixels, mask: NDArray[np.bool_]) -> float:
    """Mean over the mask of the largest change of a channel, in grey levels of 0 to 255."""
    change = np.abs(after[mask].astype(np.int32) - before[mask]) * (255.0 / np.iinfo(before.dtype).max)
    largest = change if change.ndim == 1 else change.max(axis=1)
    return round(float(largest.mean()), 2) if largest.size else 0.0
