# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Replaces an image generator of a model while it trains, and puts it back."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex

import torch
from torch import nn

from anomalib_stage.plugin.seams import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import LightningModule
    from torch import Tensor

    from anomalib_stage.pipeline.pair import Pair
    from anomalib_stage.plugin.seams import Slot

__all__ = ["Paint", "normalisation", "swap"]

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


class Paint(Protocol):
    """Paints a batch of images in [0, 1]; ``pixels=False`` wants the masks alone. None outside a training step."""

    def __call__(self, images: Tensor, *, pixels: bool = True) -> Pair | None:  # noqa: D102
        ...


def swap(model: LightningModule, slot: Slot, *, paint: Paint) -> Callable[[], None]:
    """Replace a generator of the model.

    The stand-in has the original's parameters and buffers and no others, so ``state_dict`` and ``parameters`` stay as
    they are. Copied or pickled, it becomes the original again. Outside a training step the original answers.

    Args:
        model (LightningModule): The model.
        slot (Slot): What to replace.
        paint (Paint): Makes the anomalies.

    Returns:
        Callable[[], None]: Puts the original back.
    """
    parent, leaf = locate(model, slot.path)
    original = getattr(parent, leaf)
    answer = partial(_ANSWERS[slot.protocol], original, paint, normalisation(model))
    # A generator that is no module must be replaced by one that is none: a module would be registered as a child, and
    # the original could not be put back.
    stand_in = (_ModuleStandIn if isinstance(original, nn.Module) else _CallableStandIn)(original, answer)
    setattr(parent, leaf, stand_in)

    def restore() -> None:
        if isinstance(original, nn.Module):
            original.training = stand_in.training
        setattr(parent, leaf, original)

    return restore


def normalisation(model: LightningModule) -> Statistics:
    """Mean and standard deviation of the pre-processor's ``Normalize``; (0, 1) if it has none."""
    from anomalib.data.transforms.utils import extract_transforms_by_type  # keeps ours light
    from torchvision.transforms.v2 import Normalize

    transform = getattr(getattr(model, "pre_processor", None), "transform", None)
    found = extract_transforms_by_type(transform, Normalize) if transform is not None else []
    return (tuple(found[0].mean), tuple(found[0].std)) if found else ((0.0,) * 3, (1.0,) * 3)


def _answer_image_mask(original: Any, paint: Paint, _: Statistics, images: Tensor) -> Any:  # noqa: ANN401
    pair = paint(images)
    return original(images) if pair is None else (pair.image, pair.mask.to(images.dtype))


def _answer_mask(original: Any, paint: Paint, _: Statistics, images: Tensor) -> Any:  # noqa: ANN401
    pair = paint(images, pixels=False)
    return original.augment_batch(images) if pair is None else pair.mask.to(images.dtype)


def _answer_normalized(original: Any, paint: Paint, statistics: Statistics, images: Tensor) -> Any:  # noqa: ANN401
    mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in statistics)
    pair = paint((images * std + mean).clamp(0.0, 1.0))  # colour jitter before us may leave [0, 1]
    if pair is None:
        return original(images)
    return torch.where(pair.painted, (pair.image - mean) / std, images)


_ANSWERS = {"image_mask": _answer_image_mask, "mask": _answer_mask, "normalized": _answer_normalized}


class _StandIn:
    """What every stand-in does: look like the original, and turn into it when copied or pickled."""

    _original: Any

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if "_original" not in vars(self):
            raise AttributeError(name)
        return getattr(vars(self)["_original"], name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:  # noqa: ANN401
        return copy.deepcopy(self._original, memo)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:  # noqa: ANN401
        # Protocol 1 names the class to rebuild freely; later ones insist on the class of the object being pickled.
        return self._original.__reduce_ex__(min(int(protocol), 1))


class _ModuleStandIn(_StandIn, nn.Module):
    """Stands in for a generator that is a module; shares its registered tensors, owns none."""

    def __init__(self, original: nn.Module, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        shared = ("training", "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
        vars(self).update({name: getattr(original, name) for name in shared}, _original=original, _answer=answer)

    def forward(self, images: Tensor) -> Any:  # noqa: ANN401
        return self._answer(images)

    def augment_batch(self, images: Tensor) -> Any:  # noqa: ANN401
        return self._answer(images)


class _CallableStandIn(_StandIn):
    """Stands in for a generator that is a plain callable."""

    def __init__(self, original: Callable[..., Any], answer: Callable[[Tensor], Any]) -> None:
        self._original, self._answer = original, answer

    def __call__(self, images: Tensor) -> Any:  # noqa: ANN401
        return self._answer(images)
