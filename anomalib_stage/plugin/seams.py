# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where each anomalib model takes synthetic anomalies, and why the others must not see any.

A seam is one of two things: the training step reads ``gt_mask`` and ``gt_label`` (``batch``), or the model has an
image generator of its own that can be replaced while it trains (``swap``). Models are looked up by the names of their
class and its bases, so a subclass has its parent's seam and nothing of anomalib is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional
from torchvision import tv_tensors

from anomalib_stage.errors import InputError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lightning.pytorch import LightningModule
    from torch import Tensor

__all__ = [
    "REASONS",
    "SEAMS",
    "Seam",
    "Slot",
    "find_refusal",
    "find_seam",
    "locate",
    "resolve_seam",
    "to_model_input",
    "to_model_masks",
    "visibility",
]


@dataclass(frozen=True)
class Slot:
    """A generator of the model that is replaced while it trains.

    Args:
        path (str): Dotted attribute path from the model to the generator.
        protocol (str): What the model expects of it: ``image_mask`` takes [0, 1] images and returns
            ``(images, masks)``; ``mask`` answers ``augment_batch`` with masks alone; ``normalized`` takes and returns
            normalised images and no masks.
    """

    path: str
    protocol: Literal["image_mask", "mask", "normalized"] = "image_mask"


def _any_pixel(model: LightningModule) -> Callable[[Tensor], Tensor]:
    del model
    return lambda seen: seen.flatten(1).any(dim=1)


def _survives_supersimplenet(model: LightningModule) -> Callable[[Tensor], Tensor]:
    """Keep masks that the model's own down-sampling keeps: bilinear to the feature grid, then a threshold of 0.5."""
    network: Any = model.model

    @cache
    def feature_size(height: int, width: int) -> tuple[int, ...]:
        with torch.no_grad():
            return tuple(network.feature_extractor(torch.zeros(1, 3, height, width, device=model.device)).shape[-2:])

    def survives(seen: Tensor) -> Tensor:
        cells: Tensor = network.downsample_mask(seen[:, 0], *feature_size(*seen.shape[-2:]))
        return cells.flatten(1).any(dim=1)

    return survives


def _survives_uninet(model: LightningModule) -> Callable[[Tensor], Tensor]:
    """Keep masks that nearest-neighbour sampling on the finest feature grid, a quarter of the image, still hits."""
    del model

    def survives(seen: Tensor) -> Tensor:
        size = [-(-side // 4) for side in seen.shape[-2:]]
        return functional.interpolate(seen.float(), size=size, mode="nearest").flatten(1).any(dim=1)

    return survives


@dataclass(frozen=True)
class Seam:
    """How one model takes synthetic anomalies.

    Args:
        mode (str): ``batch`` edits image, mask and label of the batch; ``swap`` replaces the model's generators.
        probability (float): Default share of anomalous images.
        slots (tuple[Slot, ...]): Generators to replace in ``swap`` mode.
        survival (Callable): Given the model, returns a function from masks as the model gets them, ``(B, 1, H, W)``
            bool, to ``(B,)`` bool: False where nothing is left of the mask in the loss. ``batch`` mode only.
    """

    mode: Literal["batch", "swap"]
    probability: float = 0.5
    slots: tuple[Slot, ...] = ()
    survival: Callable[[LightningModule], Callable[[Tensor], Tensor]] = _any_pixel


SEAMS: dict[str, Seam] = {
    "Supersimplenet": Seam("batch", survival=_survives_supersimplenet),
    "UniNet": Seam("batch", survival=_survives_uninet),
    "Segmenter": Seam("batch"),  # of this package; its loss is taken at the size of the image
    "Draem": Seam("swap", slots=(Slot("augmenter"),)),
    "Glass": Seam("swap", probability=1.0, slots=(Slot("model.augmentor"),)),
    "Dsr": Seam("swap", slots=(Slot("quantized_anomaly_generator", "mask"), Slot("perlin_generator"))),
    "FoundAD": Seam("swap", probability=1.0, slots=(Slot("cutpaste", "normalized"),)),
}
"""Class name to seam. A new model is a row."""

_MEMORY = "it remembers features of its training images as normal, and would remember every synthetic anomaly too"
_FLOW = "it fits a normalizing flow to what it is shown, and would rate synthetic anomalies as likely"
_STUDENT = "its student imitates the teacher on whatever it is shown, and would learn to imitate it on anomalies"
_RECONSTRUCT = "it learns to reconstruct whatever it is shown, and would learn to reconstruct anomalies"
_DENSITY = "it fits what it is shown as normal, and would count synthetic anomalies in"
_FEATURES = "it makes its anomalies from features, reads no masks, and would count painted images as normal"

REASONS: dict[str, str] = {
    "MemoryBankMixin": _MEMORY,
    **dict.fromkeys(("Cflow", "Csflow", "Fastflow", "Uflow", "Patchflow"), _FLOW),
    **dict.fromkeys(("EfficientAd", "ReverseDistillation", "Stfpm", "L2BT"), _STUDENT),
    **dict.fromkeys(("Dinomaly", "Fre", "Ganomaly", "InpFormer"), _RECONSTRUCT),
    **dict.fromkeys(("Cfa", "CFM"), _DENSITY),
    "GeneralAD": _FEATURES,
}
"""Class name to the reason why the model must not see synthetic anomalies."""


def find_refusal(model: object) -> str | None:
    """Return why a model must not see synthetic anomalies, None if nothing is known against it."""
    return next((REASONS[name] for name in _names(model) if name in REASONS), None)


def find_seam(model: object) -> Seam | None:
    """Return how a model takes anomalies, None if it is not in the table."""
    return next((SEAMS[name] for name in _names(model) if name in SEAMS), None)


def resolve_seam(model: LightningModule, *, mode: str = "auto", target: str | None = None) -> Seam:
    """Find the seam of a model.

    Args:
        model (LightningModule): The model that is going to train.
        mode (str): ``auto`` looks the model up; ``batch`` and ``swap`` overrule the table for custom models.
        target (str | None): Dotted path of the generator to replace in a custom model; implies ``swap``.

    Returns:
        Seam: Where the model takes anomalies.

    Raises:
        UnsupportedModelError: If synthetic anomalies would harm the training of this model.
        InputError: If the override does not fit the model.
    """
    name = type(model).__name__
    known = find_seam(model)
    if target is not None:
        locate(model, target)
        return Seam("swap", probability=known.probability if known else 0.5, slots=(Slot(target),))
    if mode == "batch" and known is not None and known.mode == "swap":
        msg = (
            f"StageAugment(seam='batch') cannot be used with {name}: it takes the images of the batch as its clean "
            f"target, so a painted anomaly would be learned as normal. Leave seam='auto', which replaces {name}'s own "
            "generator."
        )
        raise UnsupportedModelError(msg)
    if mode == "swap" and (known is None or known.mode == "batch"):
        msg = f"StageAugment(seam='swap') does not know the generator of {name}; name it with seam='swap:<dotted path>'"
        raise InputError(msg)
    if known is None and mode == "auto":
        raise UnsupportedModelError(_refusal(model))
    return known or Seam("batch")


def to_model_input(model: LightningModule, images: Tensor, *, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return images and masks ``(B, 1, H, W)`` bool as the model will get them from its pre-processor."""
    transform = getattr(getattr(model, "pre_processor", None), "transform", None)
    if transform is None:
        return images, masks
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices):  # a user's random transform must not move the training's stream
        shown, seen = transform(tv_tensors.Image(images), tv_tensors.Mask(masks))
    return shown.as_subclass(torch.Tensor), seen.as_subclass(torch.Tensor).bool()


def to_model_masks(model: LightningModule, images: Tensor, *, masks: Tensor) -> Tensor:
    """Return masks ``(B, 1, H, W)`` bool as the model will get them, after the resize and crop of its pre-processor."""
    return to_model_input(model, images, masks=masks)[1]


def visibility(seam: Seam, model: LightningModule) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that says which masks the model still sees after its pre-processor and down-sampling."""
    survives = seam.survival(model)
    return lambda images, masks: survives(to_model_masks(model, images, masks=masks))


def _refusal(model: object) -> str:
    reason = find_refusal(model) or "it is not known to read masks in training, and would learn anomalies as normal"
    return (
        f"StageAugment cannot be used with {type(model).__name__}: {reason}. Train one of {', '.join(sorted(SEAMS))}; "
        "for a custom model that reads gt_mask and gt_label set seam='batch', for one with an image generator of its "
        "own set seam='swap:<dotted path>'."
    )


def _names(model: object) -> Sequence[str]:
    return [base.__name__ for base in type(model).__mro__]


def locate(model: LightningModule, path: str) -> tuple[Any, str]:
    """Return the object that holds the generator, and the generator's attribute name there."""
    parent_path, _, leaf = path.rpartition(".")
    try:
        parent = attrgetter(parent_path)(model) if parent_path else model
        generator = getattr(parent, leaf)
    except AttributeError as error:
        msg = f"{type(model).__name__} has no attribute {path!r} ({error}); give the dotted path of its image generator"
        raise InputError(msg) from error
    if not callable(generator):
        defect = type(generator).__name__
        msg = f"{path!r} of {type(model).__name__} is a {defect}, not a generator; give the path of its image generator"
        raise InputError(msg)
    return parent, leaf
