# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Good images of a batch as they are read: stored pixels, and what the synthesizer takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from anomalib_stage.errors import DataError
from anomalib_stage.files.decoding import decode_stored
from anomalib_stage.files.images import read_bytes
from anomalib_stage.files.masks import read_mask
from anomalib_stage.files.pixels import convert_to_rgb
from anomalib_stage.pregeneration.output.pair_files import convert_for_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.files.pixels import Pixels
    from anomalib_stage.pregeneration.planning.good_images import Source
    from anomalib_stage.pregeneration.planning.plan import Item
    from anomalib_stage.pregeneration.planning.spec import Layout

__all__ = ["SourceBatch", "load_source", "read_batch"]


@dataclass(frozen=True, eq=False)
class SourceBatch:
    """A batch as it was read.

    Args:
        items (Sequence[Item]): Pairs of the plan.
        stored (list[Pixels]): Pixels of their good images, as the layout keeps them.
        images (Tensor): ``(B, 3, H, W)`` float32 in [0, 1].
        masks (Tensor | None): Given masks, ``(B, 1, H, W)`` bool; None: masks are drawn.
    """

    items: Sequence[Item]
    stored: list[Pixels]
    images: Tensor
    masks: Tensor | None


def load_source(source: Source, layout: Layout, white_level: int | None) -> Pixels:
    """Read a good image that the plan has seen, as its layout keeps it.

    Raises:
        DataError: If it cannot be read or is not the file that it was.
    """
    data = read_bytes(source.path)
    if hashlib.sha256(data).hexdigest() != source.digest:
        msg = f"{source.path}: changed while the pairs were painted; put the old file back, or begin in another folder"
        raise DataError(msg)
    return convert_for_layout(decode_stored(data, source.path).pixels, layout, white_level)


def read_batch(items: Sequence[Item], *, layout: Layout, white_level: int | None = None) -> SourceBatch:
    """Read the good images and the given masks of pairs whose images have one size.

    Args:
        items (Sequence[Item]): Pairs of the plan.
        layout (Layout): Where files go.
        white_level (int | None): Value of white in images with more than 8 bit; None: there are none.

    Raises:
        DataError: If a file cannot be read or is not what it was.
    """
    stored = [load_source(item.source, layout, white_level) for item in items]
    masks = [
        read_mask(item.mask, size=item.source.size, image=item.source.path) for item in items if item.mask is not None
    ]
    # by numpy: a parallel operation of torch in this thread would start a second team of OpenMP threads, and with
    # more threads than cores OpenMP sleeps at every barrier, which makes the painting thread half as fast
    images = np.ascontiguousarray(
        np.stack([convert_to_rgb(pixels, white_level) for pixels in stored]).transpose(0, 3, 1, 2)
    )
    given = torch.from_numpy(np.stack(masks))[:, None] if masks else None
    return SourceBatch(items, stored, torch.from_numpy(images), given)
