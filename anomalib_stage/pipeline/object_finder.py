# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Find the object in images, once for each: a training shows the same images again and again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from anomalib_stage.synthesis.masks.foreground.foreground import enlarge, find_object, shrink

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["ObjectFinder", "read_pixels"]

REMEMBERED = 4096
"""Images whose foreground is kept."""

PIECE = 128
"""Rows of a channel that are rounded at once."""


class ObjectFinder:
    """Estimates where the object is, and remembers it; may be shared by threads, and pickled."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, NDArray[np.bool_] | None] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Estimate a foreground, or remember it.

        The estimate is a function of the image's small copy, so that is what is remembered.

        Args:
            pixels (NDArray[np.uint8]): Image, ``(H, W, 3)``.

        Returns:
            NDArray[np.bool_] | None: ``(H, W)``; None: everything is the object.
        """
        small = shrink(pixels)
        key = hashlib.blake2b(small.tobytes(), digest_size=16, key=repr(small.shape).encode()).digest()
        with self._lock:
            known = key in self._found
            found = self._found.get(key)
        if not known:
            found = find_object(small)
        with self._lock:
            self._found[key] = found
            self._found.move_to_end(key)
            if len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        if found is None:
            return None
        where = enlarge(found, (pixels.shape[0], pixels.shape[1]))
        return None if where.all() else where

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), ())  # a copy remembers for itself


def read_pixels(images: Tensor) -> list[NDArray[np.uint8]]:
    """Bring images to the host, rounded to 8 bit.

    Args:
        images (Tensor): ``(B, 3, H, W)`` float in [0, 1], on any device.

    Returns:
        list[NDArray[np.uint8]]: ``(H, W, 3)`` each.
    """
    rounded = _round(images).cpu().numpy()
    return [np.asarray(cv2.merge(list(planes)), dtype=np.uint8) for planes in rounded]


def _round(images: Tensor) -> Tensor:
    """Round images in [0, 1] to 8 bit; on the CPU in pieces that stay in its cache."""
    plain = images.detach().as_subclass(torch.Tensor)
    rounded = torch.empty(plain.shape, dtype=torch.uint8, device=plain.device)
    whole = plain.device.type != "cpu"
    for source, target in [(plain, rounded)] if whole else zip(plain.flatten(0, 1), rounded.flatten(0, 1), strict=True):
        rows = len(source) if whole else PIECE
        for part, place in zip(source.split(rows), target.split(rows), strict=True):
            place.copy_((part.float() * 255.0).add_(0.5))
    return rounded
