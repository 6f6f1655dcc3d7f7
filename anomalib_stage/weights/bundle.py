# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Weights bundles: one safetensors file with a validated manifest. Never pickle.

Everything is checked before a tensor is handed out: the header's length, its JSON, the manifest, the names, shapes,
dtypes and offsets that it promises (:mod:`anomalib_stage.weights.manifest`), then the digest and that all values are
finite. Each way a file can be wrong is one :class:`BundleError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from anomalib_stage.errors import BundleError
from anomalib_stage.files.atomic import replace_whole
from anomalib_stage.weights.manifest import (
    METADATA_KEY,
    BundleManifest,
    DefectSpec,
    TensorSpec,
    list_complaints,
    manifest_json,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

__all__ = ["StageBundle", "compute_digest", "write_tensors"]

DEFAULT = "default"
DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.int64: "I64",
    torch.bool: "BOOL",
}
PACKAGES = ("anomalib-stage", "torch", "diffusers", "safetensors")
STAMPED = {"tensors", "digest", "versions"}
"""Fields of the manifest that follow from the tensors and the installation; never given by hand."""

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|[^\\/])|[\w-][\w.-]*/[\w-][\w.-]*$")
"""A URL, ``hf:name``, or ``owner/name``."""


class StageBundle:
    """Weights of a synthesizer with the manifest that describes them.

    Args:
        manifest (BundleManifest): What the bundle is.
        tensors (Mapping[str, Tensor]): The weights, on the CPU, in the stored dtypes (see :meth:`floats`).
        path (Path | None): File that it was read from or last saved to.
    """

    def __init__(self, manifest: BundleManifest, tensors: Mapping[str, Tensor], *, path: Path | None = None) -> None:
        self.manifest = manifest
        self.tensors = dict(tensors)
        self.path = path

    @classmethod
    def build(cls, tensors: Mapping[str, Tensor], *, defects: Iterable[DefectSpec], **fields: Any) -> StageBundle:  # noqa: ANN401
        """Make a bundle from weights; the table of tensors, the digest and the versions are filled in.

        Args:
            tensors (Mapping[str, Tensor]): Weights with prefixed names, such as ``denoiser.*`` and
                ``condition.<defect>``, of any shape, in the dtypes F32, F16, BF16, U8, I64 or BOOL. They are copied.
            defects (Iterable[DefectSpec]): Defects.
            **fields (Any): Further fields of :class:`BundleManifest` (``backbone``, ``denoiser``, ``schedule``, ...).

        Returns:
            StageBundle: The bundle, with the manifest that loading it from a file would give.

        Raises:
            BundleError: If a field is not valid, a tensor has a dtype that bundles do not hold, or is not finite.
        """
        stored = {
            name: tensors[name].detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name in sorted(tensors)
        }
        return cls(_stamped(stored, defects=tuple(defects), **fields), stored)

    @classmethod
    def load(cls, source: str | Path = DEFAULT) -> StageBundle:
        """Read and validate a bundle.

        Args:
            source (str | Path): ``"default"`` for the bundle that ships with the package, or a local file.

        Returns:
            StageBundle: The bundle, its tensors on the CPU in the stored dtypes.

        Raises:
            BundleError: If the file is missing, damaged, or not what it says it is; names the file and the cause.
        """
        path = _resolve(source)
        manifest = read_manifest(path)
        try:
            with safe_open(path, framework="pt") as stream:  # a view of the file: copied, so that the file may go
                tensors = {name: stream.get_tensor(name).clone() for name in sorted(manifest.tensors)}
        except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
            msg = f"{path}: the tensors cannot be read ({error}); get the file again"
            raise BundleError(msg) from error
        seen = compute_digest(tensors)
        if seen != manifest.digest:
            msg = (
                f"{path}: digest mismatch, the tensors have {seen[:12]}..., the manifest says "
                f"{manifest.digest[:12]}...; the file was damaged or changed, get it again"
            )
            raise BundleError(msg)
        _check_finite(tensors, where=f"{path}: ")
        return cls(manifest, tensors, path=path)

    def save(self, path: str | Path) -> Path:
        """Write the bundle: to a temporary name beside it, then renamed, so that there is never half a file.

        The table of tensors, the digest and the versions are stamped anew. The same content written by the same
        versions gives the same bytes. Missing parent folders are made.

        Args:
            path (str | Path): File to write; an existing one is replaced.

        Returns:
            Path: The file.

        Raises:
            BundleError: If the content is not valid or the file cannot be written; an existing file is then untouched.
        """
        target = Path(path)
        stored = {name: self.tensors[name].detach().cpu().contiguous() for name in sorted(self.tensors)}
        manifest = _stamped(stored, **self.manifest.model_dump(exclude=STAMPED))
        try:
            write_tensors(target, stored, metadata={METADATA_KEY: manifest_json(manifest)})
        except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
            msg = f"{target}: cannot be written ({error}); choose a folder with space that you may write to"
            raise BundleError(msg) from error
        self.manifest, self.path = manifest, target
        return target

    @property
    def defects(self) -> tuple[str, ...]:
        """Names of the defects, in the manifest's order."""
        return tuple(defect.name for defect in self.manifest.defects)

    @property
    def digest(self) -> str:
        """SHA-256 over the tensors, hexadecimal; see :func:`compute_digest`."""
        return self.manifest.digest

    def floats(self) -> dict[str, Tensor]:
        """Return the tensors, those stored in half precision (F16, BF16) as float32; the others are not copied."""
        half = (torch.float16, torch.bfloat16)
        return {name: tensor.float() if tensor.dtype in half else tensor for name, tensor in self.tensors.items()}

    def describe(self) -> list[tuple[str, str]]:
        """Return rows of name and value for people."""
        manifest = self.manifest
        values = sum(tensor.numel() for tensor in self.tensors.values())
        dtypes = ", ".join(sorted({spec.dtype for spec in manifest.tensors.values()}))
        rows = [
            ("file", str(self.path or "not saved")),
            ("backbone", manifest.backbone),
            ("parameters", f"{values:,} in {len(self.tensors)} tensors ({dtypes})"),
            ("defects", ", ".join(self.defects)),
            ("region size", f"{manifest.region_size} px"),
            ("schedule", f"{manifest.schedule.get('beta_schedule')}, {manifest.schedule.get('prediction_type')}"),
            ("base", manifest.base_digest or "none"),
            ("digest", manifest.digest),
        ]
        rows += [(f"training: {name}", str(value)) for name, value in manifest.training.items() if name != "pictures"]
        return rows + [(f"version: {name}", value) for name, value in manifest.versions.items()]


def compute_digest(tensors: Mapping[str, Tensor]) -> str:
    r"""Return the SHA-256 of weights.

    Hashed is, for each tensor in the sorted order of names: ``f"{name}\0{dtype}\0{shape}\0"`` in UTF-8, with
    safetensors' name of the dtype (``F32``) and the shape as Python prints a tuple (``(3, 2)``, ``(3,)``, ``()``); then
    the raw bytes, row-major, little-endian, as they stand in the file. One tensor at a time, nothing is concatenated.

    Args:
        tensors (Mapping[str, Tensor]): Weights of any shape, in the dtypes that bundles hold.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{DTYPES.get(tensor.dtype, tensor.dtype)}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _stamped(tensors: Mapping[str, Tensor], **fields: Any) -> BundleManifest:  # noqa: ANN401
    """Return the manifest of contiguous CPU tensors, as it reads back from JSON (tuples are lists, keys sorted)."""
    strange = sorted(name for name, tensor in tensors.items() if tensor.dtype not in DTYPES)
    if strange:
        seen, allowed = tensors[strange[0]].dtype, ", ".join(str(dtype) for dtype in DTYPES)
        msg = f"tensor {strange[0]} has dtype {seen}; a bundle holds {allowed}: convert it"
        raise BundleError(msg)
    _check_finite(tensors, where="the bundle would not be valid: ")
    table = {name: TensorSpec(shape=tuple(t.shape), dtype=DTYPES[t.dtype]) for name, t in tensors.items()}
    try:
        manifest = BundleManifest(tensors=table, digest=compute_digest(tensors), versions=_versions(), **fields)
        return BundleManifest.model_validate(json.loads(manifest_json(manifest)))
    except ValidationError as error:
        msg = f"the bundle would not be valid: {list_complaints(error)}"
        raise BundleError(msg) from error
    except (TypeError, ValueError, RecursionError) as error:
        msg = (
            f"the bundle would not be valid: a field of the manifest holds what JSON cannot ({error}); use plain values"
        )
        raise BundleError(msg) from error


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # such as this package, run from its source tree
            found[package] = version(package)
    return found


def _resolve(source: str | Path) -> Path:
    if source == DEFAULT:
        path = Path(str(resources.files("anomalib_stage.weights") / "default" / "stage-compact.safetensors"))
        if not path.is_file():
            msg = f"{path}: no such file, this installation lacks the default bundle; install it again, or give a file"
            raise BundleError(msg)
        return path
    path = Path(source)
    if isinstance(source, str) and path.suffix != ".safetensors" and REMOTE.match(source) and not os.path.lexists(path):
        msg = f"{source}: no such file; if it is a hub id or an address: nothing is downloaded here, give a local file"
        raise BundleError(msg)
    return path


def _check_finite(tensors: Mapping[str, Tensor], *, where: str) -> None:
    bad = sorted(n for n, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all())
    if bad:
        msg = f"{where}NaN or infinite values in {', '.join(bad[:5])}; the training that made them failed, fit again"
        raise BundleError(msg)


def write_tensors(target: Path, tensors: dict[str, Tensor], *, metadata: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all; missing parent folders are made."""
    with replace_whole(target, durable=True) as partial:
        partial.touch()
        mode = partial.stat().st_mode & 0o777  # what the umask gives; safetensors makes files for their owner alone
        save_file(tensors, partial, metadata=metadata)
        partial.chmod(mode)
