# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the data set of a training does to its images, done to pairs of a bank too.

Good images that are brightened, blurred or turned, beside anomalous ones that never are, tell a model which is which
without any defect. So pairs take the very steps of the data set, with draws from the same distributions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.pairs.resize import keep_masks
from anomalib_stage.plugin.streams import keep_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightning.pytorch import LightningModule, Trainer

__all__ = ["Augmentations", "find_augmentations", "find_model_resize", "list_unknown_steps"]


class Augmentations:
    """The steps of a data set, for images that do not come from it.

    Args:
        transform (Callable): Takes image and mask, as the ``augmentations`` of anomalib's data sets do.
    """

    def __init__(self, transform: Callable[..., Any]) -> None:
        self.transform = keep_masks(transform)

    def __call__(self, image: Tensor, mask: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Apply the steps to an image and its mask; no global random stream moves.

        Args:
            image (Tensor): ``(3, H, W)`` float32 in [0, 1], as stored.
            mask (Tensor): ``(1, H, W)`` bool.
            seed (int): All draws come from it: the same for images of one size that are to be treated alike.

        Returns:
            tuple[Tensor, Tensor]: Image ``(3, h, w)`` float32 and mask ``(1, h, w)`` bool, which may be empty.

        Raises:
            InputError: If a step takes no mask.
        """
        given = tv_tensors.Image(image), tv_tensors.Mask(mask[0].to(torch.uint8))
        with keep_streams(seed=seed), torch.no_grad():
            try:
                shown, marked = self.transform(*given)  # type: ignore[misc]
            except (TypeError, ValueError) as error:
                msg = (
                    "StageAugment: the data set's augmentations cannot be applied to an image together with its mask "
                    f"({error}), so pairs of a bank would stay without them and be told by that; use transforms of "
                    "torchvision.transforms.v2, or leave the bank out"
                )
                raise InputError(msg) from error
        pixels: Tensor = v2.functional.to_dtype(shown.as_subclass(Tensor), torch.float32, scale=True)
        return pixels, marked.as_subclass(Tensor).reshape(1, *marked.shape[-2:]).bool()


def find_augmentations(trainer: Trainer, model: LightningModule) -> Augmentations | None:
    """Find what the data set of the training does to each image, beyond the resize to the model's size.

    Args:
        trainer (Trainer): Knows the data module, if there is one.
        model (LightningModule): Knows its resize.

    Returns:
        Augmentations | None: None if it does nothing, or loaders were given and nobody knows.
    """
    data = getattr(getattr(trainer, "datamodule", None), "train_data", None)
    transform = getattr(data, "augmentations", None)
    resize = find_model_resize(model)
    steps = [step for step in _flatten(transform) if not _is_same_resize(step, resize)]
    return Augmentations(transform) if transform is not None and steps else None


def find_model_resize(model: LightningModule) -> v2.Resize | None:
    """Return the resize that anomalib's data modules take over from the model's pre-processor, if it has one."""
    from anomalib.data.transforms.utils import extract_transforms_by_type  # keeps ours light

    transform = getattr(getattr(model, "pre_processor", None), "transform", None)
    found: list[Any] = extract_transforms_by_type(transform, v2.Resize)
    return found[0] if found else None


def list_unknown_steps(trainer: Trainer) -> list[str]:
    """Name what may change the images of a data module beyond its augmentations, where nobody can look inside."""
    from lightning.pytorch import LightningDataModule  # keeps ours light

    data = getattr(trainer, "datamodule", None)
    collate = getattr(data, "external_collate_fn", None)
    found = [] if collate is None or _is_known(collate) else ["external_collate_fn"]
    if not _is_known(getattr(type(getattr(data, "train_data", None)), "__getitem__", None)):
        found.append("__getitem__ of the data set")
    if isinstance(data, LightningDataModule):
        hooks = ("on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")
        found += [hook for hook in hooks if getattr(type(data), hook) is not getattr(LightningDataModule, hook)]
    return found


def _is_known(function: object) -> bool:
    """Say whether a function is anomalib's or this package's; so is one that does not exist."""
    return function is None or str(getattr(function, "__module__", "")).startswith("anomalib")


def _flatten(transform: Any) -> Iterator[Any]:  # noqa: ANN401 - any callable
    """Yield the steps of a transform, in their order."""
    if isinstance(transform, v2.Compose):
        for step in transform.transforms:
            yield from _flatten(step)
    elif transform is not None:
        yield transform


def _is_same_resize(step: object, resize: v2.Resize | None) -> bool:
    names = ("size", "interpolation", "max_size", "antialias")
    return (
        isinstance(step, v2.Resize)
        and resize is not None
        and all(getattr(step, name) == getattr(resize, name) for name in names)
    )
