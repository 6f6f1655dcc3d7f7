# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The user's own word on where defects may lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.callback.foreground_files import ForegroundFolder
from anomalib_stage.plugin.image_lists import list_training_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lightning.pytorch import Trainer
    from torch import Tensor

__all__ = ["built_in_foreground", "check_foreground", "open_foregrounds", "read_foregrounds"]

BUILT_IN = ("auto", "none")


def check_foreground(source: object) -> None:
    """Check the argument ``foreground`` of ``StageAugment`` as far as it can be checked without an image.

    Raises:
        InputError: If it is neither ``auto``, ``none``, an existing folder nor a callable.
    """
    if callable(source) or source in BUILT_IN or (isinstance(source, (str, Path)) and Path(source).is_dir()):
        return
    msg = (
        f"StageAugment: foreground is {source!r}; give 'auto', 'none', an existing folder of masks named like the "
        "images, or a function from an image (3, H, W) and its path to a mask (H, W)"
    )
    raise InputError(msg)


def built_in_foreground(source: object) -> Literal["auto", "none"]:
    """Return what the synthesizer does by itself: nothing where the user answers, or where everything is allowed."""
    return "auto" if source == "auto" else "none"


def open_foregrounds(
    source: str | Path | Callable[..., Any], trainer: Trainer | None
) -> str | ForegroundFolder | Callable[..., Any]:
    """Get the user's answer ready before the training starts.

    Args:
        source (str | Path | Callable): The argument ``foreground`` of ``StageAugment``.
        trainer (Trainer | None): Its data module, if there is one, knows which images will train.

    Returns:
        str | ForegroundFolder | Callable: What :func:`read_foregrounds` takes; of a folder, its masks.

    Raises:
        DataError: If a mask is missing, of another size than its image, or of two images; names the files.
    """
    if callable(source) or source in BUILT_IN:
        return source
    folder = ForegroundFolder(Path(source))
    folder.learn(list_training_images(getattr(trainer, "datamodule", None)))
    return folder


def read_foregrounds(
    source: str | ForegroundFolder | Callable[[Tensor, str | None], Any],
    images: Tensor,
    *,
    paths: Sequence[str] | None,
) -> Tensor | None:
    """Ask the user's folder or function for the foregrounds of a batch.

    Args:
        source (str | ForegroundFolder | Callable): ``auto`` and ``none`` are the synthesizer's business; a function
            gets an image ``(3, H, W)`` in [0, 1] and its path.
        images (Tensor): ``(B, 3, H, W)``.
        paths (Sequence[str] | None): File of each image, if known.

    Returns:
        Tensor | None: ``(B, 1, H, W)`` bool; None: the synthesizer decides.

    Raises:
        DataError: If a mask is missing, unreadable, empty, of another size than its image, or of two images.
        InputError: If the function returns anything but a mask of the image's size that is not empty.
    """
    if isinstance(source, str):
        return None
    if isinstance(source, ForegroundFolder):
        if paths is None:
            msg = f"StageAugment: foreground is the folder {source.folder}; these batches do not name their image files"
            raise InputError(msg)
        found = source.read(paths, size=(images.shape[2], images.shape[3]))
    else:
        names = [None] * len(images) if paths is None else list(paths)
        found = [_ask(source, image, name) for image, name in zip(images, names, strict=True)]
    return torch.stack(found)[:, None].to(images.device)


def _ask(source: Callable[[Tensor, str | None], Any], image: Tensor, path: str | None) -> Tensor:
    mask = torch.as_tensor(source(image, path)).squeeze().cpu().bool()
    if tuple(mask.shape) != tuple(image.shape[1:]) or not bool(mask.any()):
        msg = (
            f"StageAugment: the foreground function returned a mask of shape {tuple(mask.shape)} with "
            f"{int(mask.sum())} pixels for {path}; it must be {tuple(image.shape[1:])} and not empty"
        )
        raise InputError(msg)
    return mask
