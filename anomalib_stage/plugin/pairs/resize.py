# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Resizing that no mask gets lost in: thin scratches vanish between the samples of a nearest-neighbour resize."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2

__all__ = ["MaskKeepingResize", "keep_masks", "resize_image", "resize_mask"]


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a mask so that a pixel is marked where any pixel that falls into it was.

    Args:
        mask (Tensor): ``(..., H, W)``, bool or 0 and 1.
        size (tuple[int, int]): Height and width wanted.

    Returns:
        Tensor: ``(..., *size)`` bool; not empty unless ``mask`` is.
    """
    plain = mask.as_subclass(Tensor)
    if tuple(plain.shape[-2:]) == tuple(size):
        return plain.bool()
    maps = plain.reshape(1, -1, *plain.shape[-2:]).float()
    return functional.adaptive_max_pool2d(maps, size).bool().reshape(*plain.shape[:-2], *size)


def resize_image(image: Tensor, size: tuple[int, int], *, like: v2.Resize | None = None) -> Tensor:
    """Resize an image as a model's own resize does it.

    Args:
        image (Tensor): ``(..., H, W)`` float in [0, 1].
        size (tuple[int, int]): Height and width wanted.
        like (v2.Resize | None): Interpolation and smoothing to use; None: bilinear and smoothed.

    Returns:
        Tensor: ``(..., *size)`` in [0, 1].
    """
    plain = image.as_subclass(Tensor)
    if tuple(plain.shape[-2:]) == tuple(size):
        return plain
    interpolation = v2.InterpolationMode.BILINEAR if like is None else like.interpolation
    antialias = True if like is None else like.antialias
    resized: Tensor = v2.functional.resize(plain, list(size), interpolation=interpolation, antialias=antialias)
    return resized.clamp(0.0, 1.0)


class MaskKeepingResize(v2.Resize):  # type: ignore[misc] # torchvision has no types
    """torchvision's ``Resize``, but for masks, which are resized with :func:`resize_mask`."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401 - as in torchvision
        """Resize one image, mask or box."""
        resized = super().transform(inpt, params)
        if not isinstance(inpt, tv_tensors.Mask):
            return resized
        height, width = resized.shape[-2:]
        return tv_tensors.wrap(resize_mask(inpt, (height, width)).to(inpt.dtype), like=inpt)


def keep_masks(transform: v2.Transform | None) -> v2.Transform | None:
    """Return a transform whose ``Resize`` steps, alone or in a ``Compose``, lose no mask; all else is as it was."""
    if isinstance(transform, v2.Resize):
        options = {name: getattr(transform, name) for name in ("interpolation", "max_size", "antialias")}
        return MaskKeepingResize(transform.size, **options)
    if isinstance(transform, v2.Compose):
        return v2.Compose([keep_masks(step) for step in transform.transforms])
    return transform
