# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The user's own word on where defects may lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from anomalib_stage.errors import DataError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["built_in_foreground", "check_foreground", "read_foregrounds"]

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


def read_foregrounds(
    source: str | Path | Callable[[Tensor, str | None], Any], images: Tensor, *, paths: Sequence[str] | None
) -> Tensor | None:
    """Ask the user's folder or function for the foregrounds of a batch.

    Args:
        source (str | Path | Callable): ``auto`` and ``none`` are the synthesizer's business; a folder holds masks
            ``<stem>.png`` or ``<stem>_mask.png``; a function gets an image ``(3, H, W)`` in [0, 1] and its path.
        images (Tensor): ``(B, 3, H, W)``.
        paths (Sequence[str] | None): File of each image, if known.

    Returns:
        Tensor | None: ``(B, 1, H, W)`` bool; None: the synthesizer decides.

    Raises:
        DataError: If a mask is missing, unreadable or empty; names the file.
        InputError: If the function returns anything but a mask of the image's size that is not empty.
    """
    if not callable(source) and source in BUILT_IN:
        return None
    size = (images.shape[2], images.shape[3])
    if callable(source):
        names = [None] * len(images) if paths is None else list(paths)
        found = [_asked(source, image, name) for image, name in zip(images, names, strict=True)]
    else:
        if paths is None:
            msg = f"StageAugment: foreground is the folder {source}, but these batches do not name their image files"
            raise InputError(msg)
        found = [_read(Path(source), Path(path), size=size) for path in paths]
    return torch.stack(found)[:, None].to(images.device)


def _asked(source: Callable[[Tensor, str | None], Any], image: Tensor, path: str | None) -> Tensor:
    mask = torch.as_tensor(source(image, path)).squeeze().cpu().bool()
    if tuple(mask.shape) != tuple(image.shape[1:]) or not bool(mask.any()):
        msg = (
            f"StageAugment: the foreground function returned a mask of shape {tuple(mask.shape)} with "
            f"{int(mask.sum())} pixels for {path}; it must be {tuple(image.shape[1:])} and not empty"
        )
        raise InputError(msg)
    return mask


def _read(folder: Path, image: Path, *, size: tuple[int, int]) -> Tensor:
    import cv2  # not before it is needed: anomalib's command line builds the callback for every sub-command
    import numpy as np

    candidates = [folder / f"{image.stem}{suffix}.png" for suffix in ("", "_mask")]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        msg = f"{folder} has no foreground for {image.name}; add {candidates[0].name}, or use foreground='auto'"
        raise DataError(msg)
    mask = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None or not mask.any():
        msg = f"{file} is {'not a readable image' if mask is None else 'empty'}; replace it by a mask with white pixels"
        raise DataError(msg)
    resized = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    return torch.from_numpy((resized if resized.any() else np.full(size, 255, np.uint8)) > 127)
