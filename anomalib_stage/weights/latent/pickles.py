# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Reading other people's checkpoints: safetensors, or pickles without executing anything in them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from anomalib_stage.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["explain_resaving", "read_checkpoint", "read_pickle"]


class _Bystander:
    """What a training checkpoint names beside its weights; never looked at."""


BYSTANDERS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
)
"""Classes that published checkpoints name as keys of their training state. An empty class stands in for each."""

ALLOWED: dict[str, Any] = {
    "torch.nn.modules.container.ParameterDict": torch.nn.ParameterDict,
    **dict.fromkeys(BYSTANDERS, _Bystander),
}
"""All that a pickle may name beyond tensors and plain containers."""


def explain_resaving(path: Path) -> str:
    """Return the two lines that store the weights of a pickled module without the module."""
    return (
        "import torch\n"
        f'torch.save(torch.load("{path.name}", map_location="cpu", weights_only=False).state_dict(), "{path.name}")'
    )


def read_pickle(path: Path) -> Any:  # noqa: ANN401 - whatever was pickled
    """Read a file of ``torch.save`` with ``weights_only=True``, so that nothing in it is executed.

    Args:
        path (Path): A ``.pt``, ``.pth``, ``.ckpt`` or ``.bin`` file.

    Returns:
        Any: Its content: tensors in plain containers, on the CPU.

    Raises:
        BundleError: If it is missing, damaged, or holds a module or another object; the message says how to save it
            again as plain weights.
    """
    if not path.is_file():
        msg = f"{path}: no such file"
        raise BundleError(msg)
    strange = _find_strange_names(path)
    if strange:
        msg = (
            f"{path}: holds an object of {strange[0]}, not just weights. Opening it would run code from the file, so "
            f"it is refused. Where that class is known and you trust the file, save its weights again:\n\n"
            f"{explain_resaving(path)}"
        )
        raise BundleError(msg)
    try:
        with safe_globals([(stand_in, name) for name, stand_in in ALLOWED.items()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage surfaces in many ways
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"{path}: cannot be read as plain weights ({first}); get the file again, or save it again with torch.save"
        raise BundleError(msg) from error


def _find_strange_names(path: Path) -> list[str]:
    """Names of the classes in a zip of ``torch.save`` that are not allowed; nothing is loaded."""
    if not zipfile.is_zipfile(path):
        return []  # an old format, which cannot be looked at beforehand; weights_only refuses by itself
    try:
        return sorted(set(get_unsafe_globals_in_checkpoint(path)) - set(ALLOWED))
    except Exception as error:  # the scan meets damage in many ways
        msg = f"{path}: cannot be read as plain weights ({error!r}); get the file again"
        raise BundleError(msg) from error


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights of a single-file checkpoint.

    Args:
        path (Path): ``.safetensors``, or a pickle (:func:`read_pickle`); its ``state_dict`` entry if there is one.

    Returns:
        dict[str, Tensor]: Weights by name.

    Raises:
        BundleError: If it cannot be read, or holds something else.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            msg = f"{path}: cannot be read ({error}); get the file again"
            raise BundleError(msg) from error
    content = read_pickle(path)
    while isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        msg = f"{path}: holds {type(content).__name__}, not weights by name; give a checkpoint with a state_dict"
        raise BundleError(msg)
    return {str(name): value for name, value in content.items()}
