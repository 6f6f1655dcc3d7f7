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
from anomalib_stage.weights.header import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["check_plain_tensors", "explain_resaving", "read_checkpoint", "read_pickle"]

DEEPEST = 8
"""Most state_dict entries in one another."""

MOST_ENTRIES = 200_000
"""Most files in a zip of torch.save."""

SLACK, REPEATS = 2**20, 8
"""Bytes, and times the file's size, that its content may have more than the file: weights can share their storage."""


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
    _check_unpacked_size(path)
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


def _check_unpacked_size(path: Path) -> None:
    """Refuse a zip that unpacks to much more than it is; torch.save does not compress."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # a damaged directory surfaces in many ways
        msg = f"{path}: cannot be read as plain weights ({error!r}); get the file again"
        raise BundleError(msg) from error
    size, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES or unpacked > 2 * size + SLACK:
        msg = (
            f"{path}: a zip of {size} bytes with {len(entries)} entries that unpack to {unpacked} bytes; torch.save "
            f"does not compress, and at most {MOST_ENTRIES} entries are allowed: get the file again"
        )
        raise BundleError(msg)


def check_plain_tensors(weights: Mapping[str, Any], *, path: Path) -> None:
    """Refuse weights that are not plain numbers on the CPU, or that are larger than their file can hold.

    Raises:
        BundleError: Names the weight.
    """
    for name, value in weights.items():
        plain = isinstance(value, torch.Tensor) and value.layout is torch.strided and value.device.type == "cpu"
        if not plain or value.is_quantized or value.is_complex():
            seen = f"{value.dtype}, {value.layout}, {value.device}" if isinstance(value, torch.Tensor) else type(value)
            msg = (
                f"{path}: {shorten([str(name)])} is {seen}; weights are dense tensors of real numbers, save them again"
            )
            raise BundleError(msg)
    total, size = sum(value.numel() * value.element_size() for value in weights.values()), path.stat().st_size
    if total > REPEATS * size + SLACK:
        msg = f"{path}: {total} bytes of weights in a file of {size}, so they repeat themselves; get the file again"
        raise BundleError(msg)


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
        except Exception as error:  # damage surfaces in many ways
            said = str(error) if isinstance(error, SafetensorError | OSError) else repr(error)
            msg = f"{path}: cannot be read ({said}); get the file again"
            raise BundleError(msg) from error
    content = _unwrap(read_pickle(path), path)
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        msg = f"{path}: holds {type(content).__name__}, not weights by name; give a checkpoint with a state_dict"
        raise BundleError(msg)
    check_plain_tensors(content, path=path)
    return {str(name): value for name, value in content.items()}


def _unwrap(content: Any, path: Path) -> Any:  # noqa: ANN401 - whatever was pickled
    """Return what the entries ``state_dict`` lead to."""
    for _ in range(DEEPEST):
        inner = content.get("state_dict") if isinstance(content, dict) else None
        if not isinstance(inner, dict):
            return content
        content = inner
    msg = f"{path}: more than {DEEPEST} state_dict entries in one another, or one in itself; save the innermost alone"
    raise BundleError(msg)
