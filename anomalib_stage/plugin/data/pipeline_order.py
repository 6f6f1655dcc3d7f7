# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a StageTransform stands among the steps of a pipeline, and whether both classes take the others alike."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from torch import nn
from torchvision.transforms import v2

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["check_calling_pipelines", "check_pipeline", "find_transforms"]

HARMLESS = (v2.ToImage, v2.ToDtype, v2.PILToTensor, v2.Identity, nn.Identity)
"""Steps that leave pixels as they are, up to their type."""

SOMETIMES = (v2.RandomApply, v2.RandomChoice)
"""Containers that do not take every step of theirs each time."""

FORWARD = {"forward", "__call__"}
"""Functions of a container that call its steps."""


def find_transforms(root: object, kind: type) -> list[Any]:
    """Return all steps of a class in a pipeline, however deep; the pipeline may be one such step, or None."""
    if isinstance(root, kind):
        return [root]
    return [found for step in _list_steps(root) for found in find_transforms(step, kind)]


def check_calling_pipelines(transform: v2.Transform, *, whole: bool) -> list[v2.Resize]:
    """Check the pipelines that are calling a transform just now; see :func:`check_pipeline`."""
    resizes: list[v2.Resize] = []
    for container in _list_callers(transform):
        resizes = _check_level(container, transform, whole=whole) + resizes  # from the innermost outwards
    return resizes


def check_pipeline(root: object, transform: v2.Transform, *, whole: bool) -> list[v2.Resize]:
    """Check that good images and those that a transform gives an anomaly take the same steps.

    Args:
        root (object): A pipeline that has the transform among its steps, however deep.
        transform (v2.Transform): The transform.
        whole (bool): It puts another image in the place of the one it gets, so that what was done to that before is
            lost; only resizes are made up for.

    Returns:
        list[v2.Resize]: Resizes that come before it, in their order.

    Raises:
        InputError: Names the steps that only one class would take, and what to do.
    """
    if root is transform or not _contains(root, transform):
        return []
    inner = next(step for step in _list_steps(root) if _contains(step, transform))
    own = _check_level(root, transform, whole=whole)
    return own + check_pipeline(inner, transform, whole=whole)


def _check_level(container: object, transform: v2.Transform, *, whole: bool) -> list[v2.Resize]:
    """Check the steps of one container, and return the resizes before the one that is, or holds, the transform."""
    steps = _list_steps(container)
    place = next(i for i, step in enumerate(steps) if _contains(step, transform))
    others = [step for i, step in enumerate(steps) if i != place and not isinstance(step, HARMLESS)]
    name = type(container).__name__
    if isinstance(container, SOMETIMES) and others:
        _refuse(others, f"stand beside it in a {name}, which takes them for some images and it for others", name)
    before = others if isinstance(container, v2.RandomOrder) else [step for step in steps[:place] if step in others]
    lost = [step for step in before if not isinstance(step, v2.Resize) and not _is_whole(step, transform)]
    if whole and lost:
        _refuse(
            lost, "come before it, so good images take them and pairs of the bank, which replace images, never", name
        )
    return [step for step in before if isinstance(step, v2.Resize)] if whole else []


def _refuse(steps: list[Any], why: str, container: str) -> None:
    names = ", ".join(dict.fromkeys(type(step).__name__ for step in steps))
    msg = (
        f"StageTransform: {names} {why}: that alone would tell anomalous images apart. Put StageTransform first in a "
        f"Compose (here it is in a {container}), and all other steps after it"
    )
    raise InputError(msg)


def _is_whole(step: object, transform: v2.Transform) -> bool:
    """Say whether a step is another transform of the kind that puts pairs of a bank in the place of images."""
    return type(step) is type(transform) and getattr(step, "bank", None) is not None


def _list_steps(container: object) -> list[Any]:
    if isinstance(container, (nn.Sequential, nn.ModuleList)):
        return list(container)
    steps = getattr(container, "transforms", None)
    return list(steps) if isinstance(steps, (list, tuple, nn.ModuleList)) else []


def _contains(step: object, transform: object) -> bool:
    return step is transform or any(_contains(inner, transform) for inner in _list_steps(step))


def _list_callers(transform: v2.Transform) -> Iterator[object]:
    """Yield the containers that are calling a transform, from the innermost outwards."""
    frame: FrameType | None = sys._getframe(1)
    last: object = None
    while frame is not None:
        if frame.f_code.co_name in FORWARD:
            owner = frame.f_locals.get("self")
            if owner is not last and owner is not transform and _contains(owner, transform):
                last = owner
                yield owner
        frame = frame.f_back
