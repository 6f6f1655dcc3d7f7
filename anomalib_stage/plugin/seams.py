# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where each anomalib model takes synthetic anomalies.

A seam is one of two things: the training step reads ``gt_mask`` and ``gt_label`` (``batch``), or the model has an
image generator of its own that can be replaced while it trains (``swap``). Models are looked up by the names of their
class and its bases, so a subclass has its parent's seam and nothing of anomalib is imported here. Models that are not
in the table, and why: :mod:`~anomalib_stage.plugin.refusals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from anomalib_stage.errors import InputError, UnsupportedModelError
from anomalib_stage.plugin.model_input import to_model_masks
from anomalib_stage.plugin.refusals import find_refusal, list_class_names
from anomalib_stage.plugin.survival import keep_any_pixel, keep_supersimplenet, keep_uninet

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import LightningModule
    from torch import Tensor

    from anomalib_stage.plugin.survival import Survival

__all__ = ["SEAMS", "Seam", "Slot", "build_visibility_check", "find_seam", "locate", "resolve_seam"]


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


@dataclass(frozen=True)
class Seam:
    """How one model takes synthetic anomalies.

    Args:
        mode (str): ``batch`` edits image, mask and label of the batch; ``swap`` replaces the model's generators.
        probability (float): Default share of anomalous images.
        slots (tuple[Slot, ...]): Generators to replace in ``swap`` mode.
        survival (Callable[[LightningModule], Survival]): Given the model, returns what says where nothing is left of
            masks in its loss. ``batch`` mode only.
    """

    mode: Literal["batch", "swap"]
    probability: float = 0.5
    slots: tuple[Slot, ...] = ()
    survival: Callable[[LightningModule], Survival] = keep_any_pixel


SEAMS: dict[str, Seam] = {
    "Supersimplenet": Seam("batch", survival=keep_supersimplenet),
    "UniNet": Seam("batch", survival=keep_uninet),
    "Segmenter": Seam("batch"),  # of this package; its loss is taken at the size of the image
    "Draem": Seam("swap", slots=(Slot("augmenter"),)),
    "Glass": Seam("swap", probability=1.0, slots=(Slot("model.augmentor"),)),
    "Dsr": Seam("swap", slots=(Slot("quantized_anomaly_generator", "mask"), Slot("perlin_generator"))),
    "FoundAD": Seam("swap", probability=1.0, slots=(Slot("cutpaste", "normalized"),)),
}
"""Class name to seam. A new model is a row."""


def find_seam(model: object) -> Seam | None:
    """Return how a model takes anomalies, None if it is not in the table."""
    return next((SEAMS[name] for name in list_class_names(model) if name in SEAMS), None)


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
        raise UnsupportedModelError(_explain_refusal(model))
    return known or Seam("batch")


def build_visibility_check(seam: Seam, model: LightningModule) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that says which masks the model still sees after its pre-processor and down-sampling."""
    survives = seam.survival(model)
    return lambda images, masks: survives(to_model_masks(model, images, masks=masks))


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
        found = type(generator).__name__
        msg = f"{path!r} of {type(model).__name__} is a {found}, not a generator; give the path of its image generator"
        raise InputError(msg)
    return parent, leaf


def _explain_refusal(model: object) -> str:
    reason = find_refusal(model) or "it is not known to read masks in training, and would learn anomalies as normal"
    return (
        f"StageAugment cannot be used with {type(model).__name__}: {reason}. Train one of {', '.join(sorted(SEAMS))}; "
        "for a custom model that reads gt_mask and gt_label set seam='batch', for one with an image generator of its "
        "own set seam='swap:<dotted path>'."
    )
