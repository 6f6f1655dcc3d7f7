# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Weights bundles: one safetensors file with a validated manifest. Never pickle.

Everything is checked before a tensor is handed out: the header's length, its JSON, the manifest, the names, shapes and
dtypes that it promises, finite values, and the digest. Each way a file can be wrong is one :class:`BundleError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.manifest import METADATA_KEY, BundleManifest, KindSpec, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

__all__ = ["StageBundle", "digest_of"]

DEFAULT = "default"
MAX_HEADER = 100 * 1024 * 1024
"""Largest believable header in bytes; safetensors' own limit."""

DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.int64: "I64",
    torch.bool: "BOOL",
}
PACKAGES = ("anomalib-stage", "torch", "diffusers", "safetensors")


class StageBundle:
    """Weights of a synthesizer with the manifest that describes them.

    Args:
        manifest (BundleManifest): What the bundle is.
        tensors (Mapping[str, Tensor]): The weights, on the CPU.
        path (Path | None): File that it was read from.
    """

    def __init__(self, manifest: BundleManifest, tensors: Mapping[str, Tensor], *, path: Path | None = None) -> None:
        self.manifest = manifest
        self.tensors = dict(tensors)
        self.path = path

    @classmethod
    def build(cls, tensors: Mapping[str, Tensor], *, kinds: Iterable[KindSpec], **fields: Any) -> StageBundle:  # noqa: ANN401
        """Make a bundle from weights; the table of tensors, the digest and the versions are filled in.

        Args:
            tensors (Mapping[str, Tensor]): Weights with prefixed names, such as ``denoiser.*`` and ``condition.<kind>``.
            kinds (Iterable[KindSpec]): Defect kinds.
            **fields (Any): Further fields of :class:`BundleManifest` (``backbone``, ``denoiser``, ``schedule``, ...).

        Raises:
            BundleError: If a field is not valid or a tensor has a dtype that bundles do not hold.
        """
        stored = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
        strange = sorted(name for name, tensor in stored.items() if tensor.dtype not in DTYPES)
        if strange:
            msg = (
                f"tensor {strange[0]} has dtype {stored[strange[0]].dtype}; a bundle holds {', '.join(DTYPES.values())}"
            )
            raise BundleError(msg)
        table = {name: TensorSpec(shape=tuple(t.shape), dtype=DTYPES[t.dtype]) for name, t in stored.items()}
        try:
            manifest = BundleManifest(
                kinds=tuple(kinds), tensors=table, digest=digest_of(stored), versions=_versions(), **fields
            )
        except ValidationError as error:
            msg = f"the bundle would not be valid: {_complaints(error)}"
            raise BundleError(msg) from error
        return cls(manifest, stored)

    @classmethod
    def load(cls, source: str | Path = DEFAULT) -> StageBundle:
        """Read and validate a bundle.

        Args:
            source (str | Path): ``default`` for the bundle that ships with the package, or a file.

        Returns:
            StageBundle: The bundle, its tensors on the CPU in the stored dtypes.

        Raises:
            BundleError: If the file is missing, damaged, or not what it says it is; names the file and the cause.
        """
        path = _resolve(source)
        data = _read(path)
        header = _header(path, data)
        manifest = _manifest(path, header)
        _check_table(path, header, manifest)
        try:
            tensors = load(data)
        except (SafetensorError, ValueError, MemoryError) as error:
            msg = f"{path}: not a valid safetensors file ({error}); get the file again"
            raise BundleError(msg) from error
        _check_values(path, tensors, manifest)
        return cls(manifest, tensors, path=path)

    def save(self, path: str | Path) -> Path:
        """Write the bundle: to a temporary name, then renamed, so that there is never half a file.

        The same content gives the same bytes.

        Raises:
            BundleError: If the file cannot be written.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.part")
        metadata = {METADATA_KEY: json.dumps(self.manifest.model_dump(mode="json"), sort_keys=True)}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(save(self.tensors, metadata=metadata))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            msg = f"{target}: cannot be written ({error}); choose a folder with space that you may write to"
            raise BundleError(msg) from error
        self.path = target
        return target

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the defect kinds, in the manifest's order."""
        return tuple(kind.name for kind in self.manifest.kinds)

    @property
    def digest(self) -> str:
        """SHA-256 over the tensors, hexadecimal."""
        return self.manifest.digest

    def floats(self) -> dict[str, Tensor]:
        """Return the tensors, those stored in half precision as float32."""
        half = (torch.float16, torch.bfloat16)
        return {name: tensor.float() if tensor.dtype in half else tensor for name, tensor in self.tensors.items()}

    def describe(self) -> list[tuple[str, str]]:
        """Return rows of name and value for people."""
        manifest = self.manifest
        parameters = sum(tensor.numel() for tensor in self.tensors.values())
        rows = [
            ("file", str(self.path or "not saved")),
            ("backbone", manifest.backbone),
            ("parameters", f"{parameters:,} in {len(self.tensors)} tensors"),
            ("kinds", ", ".join(self.kinds)),
            ("region size", f"{manifest.region_size} px"),
            ("schedule", f"{manifest.schedule.get('beta_schedule')}, {manifest.schedule.get('prediction_type')}"),
            ("base", manifest.base_digest or "none"),
            ("digest", manifest.digest),
        ]
        rows += [(f"training: {name}", str(value)) for name, value in manifest.training.items()]
        return rows + [(f"version: {name}", value) for name, value in manifest.versions.items()]


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights: for each name in sorted order, name, dtype, shape and raw little-endian bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{DTYPES.get(tensor.dtype, tensor.dtype)}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _complaints(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors()[:5])


def _resolve(source: str | Path) -> Path:
    if str(source) == DEFAULT:
        return Path(str(resources.files("anomalib_stage.weights") / "default" / "stage-compact.safetensors"))
    return Path(source)


def _read(path: Path) -> bytes:
    if path.is_dir():
        msg = f"{path}: is a folder; give the .safetensors file in it"
        raise BundleError(msg)
    if not path.is_file():
        msg = f"{path}: no such file; give a bundle file or 'default' (nothing is downloaded)"
        raise BundleError(msg)
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        msg = f"{path}: cannot be read ({error}); check the file and its permissions"
        raise BundleError(msg) from error


def _header(path: Path, data: bytes) -> dict[str, Any]:
    """Parse the safetensors header: 8 bytes of length, then JSON."""
    if len(data) < 8:
        msg = f"{path}: {len(data)} bytes long, too short for a safetensors file; get the file again"
        raise BundleError(msg)
    (length,) = struct.unpack("<Q", data[:8])
    if length > MAX_HEADER:
        msg = f"{path}: not a safetensors file (its header claims {length} bytes); give a bundle written by anomalib-stage"
        raise BundleError(msg)
    if length > len(data) - 8:
        msg = f"{path}: truncated (header of {length} bytes in a file of {len(data)}); get the file again"
        raise BundleError(msg)
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        msg = f"{path}: not a safetensors file (header is not JSON: {error}); give a bundle written by anomalib-stage"
        raise BundleError(msg) from error
    if not isinstance(header, dict):
        msg = f"{path}: not a safetensors file (header is a JSON {type(header).__name__})"
        raise BundleError(msg)
    return header


def _manifest(path: Path, header: dict[str, Any]) -> BundleManifest:
    metadata = header.get("__metadata__")
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        msg = (
            f"{path}: a safetensors file without the {METADATA_KEY!r} manifest; give a bundle written by anomalib-stage"
        )
        raise BundleError(msg)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: the manifest is not JSON ({error}); get the file again"
        raise BundleError(msg) from error
    try:
        return BundleManifest.model_validate(content)
    except ValidationError as error:
        msg = f"{path}: the manifest is not valid: {_complaints(error)}"
        raise BundleError(msg) from error


def _check_table(path: Path, header: dict[str, Any], manifest: BundleManifest) -> None:
    """Compare the tensors in the header with those the manifest promises."""
    present = {name: entry for name, entry in header.items() if name != "__metadata__"}
    missing, unknown = sorted(set(manifest.tensors) - set(present)), sorted(set(present) - set(manifest.tensors))
    for names, what in ((missing, "missing"), (unknown, "not in the manifest")):
        if names:
            msg = f"{path}: {len(names)} tensors are {what}: {', '.join(names[:5])}; get the file again"
            raise BundleError(msg)
    for name, spec in manifest.tensors.items():
        entry = present[name] if isinstance(present[name], dict) else {}
        seen = (entry.get("dtype"), entry.get("shape"))
        if seen != (spec.dtype, list(spec.shape)):
            msg = f"{path}: tensor {name} is {seen[0]} {seen[1]}, the manifest says {spec.dtype} {list(spec.shape)}"
            raise BundleError(msg)


def _check_values(path: Path, tensors: Mapping[str, Tensor], manifest: BundleManifest) -> None:
    if digest_of(tensors) != manifest.digest:
        msg = f"{path}: the digest of the weights is not the manifest's; the file was damaged or changed, get it again"
        raise BundleError(msg)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            msg = f"{path}: tensor {name} holds NaN or infinite values; the training that made it failed, fit again"
            raise BundleError(msg)
