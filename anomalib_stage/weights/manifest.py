# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a weights bundle: what a file says it is, and whether its header bears that out. No torch here.

A safetensors file is eight bytes (length of the header, little-endian), a JSON header (names, shapes, dtypes, offsets,
and one dictionary of strings for the user), then the raw tensors without gaps.
"""

from __future__ import annotations

import json
import math
import reprlib
import stat
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from anomalib_stage.errors import BundleError
from anomalib_stage.settings import FileSettings
from anomalib_stage.weights.header import read_header, shorten
from anomalib_stage.weights.latent_manifest import check_latent

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "METADATA_KEY",
    "PREFIXES",
    "SCHEMA_VERSION",
    "BundleManifest",
    "DefectSpec",
    "TensorSpec",
    "list_complaints",
    "manifest_json",
    "read_manifest",
]

METADATA_KEY = "anomalib_stage"
"""Key of the safetensors metadata that holds the manifest as JSON."""

SCHEMA_VERSION = 1

PREFIXES = (
    "denoiser.",
    "condition.",
    "adapter.aware.",
    "adapter.only.",
    "codec.",
    "lora.",
    "mask_bank.",
    "prior.",
    "around.",
    "exemplar.",
    "look.",
)
"""Every tensor's name begins with one of these."""

ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "I64": 8, "BOOL": 1}
LISTED = 5  # most complaints in one message

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s./\\][^./\\\x00-\x1f]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DefectSpec(FileSettings):
    """A defect that the bundle can paint.

    Attributes:
        name: Name of the defect: no dot, slash, control character or leading blank.
        shapes: Mask shapes to draw from where no mask is given.
        softness: How far real anomalies of this defect fade towards the edge of their mask, measured by ``fit``: 0 not
            at all, 1 from where the mask is deepest; None: not measured.
        texture_continuity: How far the surface's texture goes on in large real anomalies of this defect, measured by
            ``fit``: 1 it does, 0 they are of another material; None: not measured, as 1.
    """

    name: Name
    shapes: Annotated[tuple[str, ...], Field(min_length=1)]
    softness: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    texture_continuity: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(None, alias="goes_on")


class TensorSpec(FileSettings):
    """Shape and dtype (safetensors' name) that a tensor must have."""

    shape: tuple[Annotated[int, Field(ge=0)], ...]
    dtype: Literal["F32", "F16", "BF16", "U8", "I64", "BOOL"]


class BundleManifest(FileSettings):
    """What a weights bundle says about itself; stored as one JSON value in the file's metadata.

    Attributes:
        schema_version: Version of this format.
        backbone: ``compact`` or ``latent``.
        denoiser: Configuration of the network; of a latent one see :mod:`~anomalib_stage.weights.latent_manifest`.
        codec: Configuration of the codec between pixels and latents.
        schedule: Configuration of the diffusers noise schedule.
        region_size: Base side of a region in pixels.
        defects: Defects, each with a condition vector; ``good`` is intact surface.
        training: How it was made: data, steps, seed, command, licence.
        base_digest: Digest of the bundle that it was fitted from, if any; of a slim latent bundle, of the
            file with its networks (:mod:`anomalib_stage.weights.latent.frozen_base`).
        tensors: Shape and dtype of every tensor in the file.
        digest: SHA-256 over the tensors, see :func:`anomalib_stage.weights.bundle.compute_digest`.
        versions: Versions of the packages that wrote it.
    """

    schema_version: int = SCHEMA_VERSION
    backbone: Literal["compact", "latent"]
    denoiser: dict[str, Any]
    codec: dict[str, Any] = Field(default_factory=dict)
    schedule: dict[str, Any]
    region_size: Annotated[int, Field(ge=16, le=4096)] = 64
    defects: Annotated[tuple[DefectSpec, ...], Field(min_length=1, alias="kinds")]
    training: dict[str, Any] = Field(default_factory=dict)
    base_digest: Digest | None = None
    tensors: dict[str, TensorSpec]
    digest: Digest
    versions: dict[str, str] = Field(default_factory=dict)

    @field_validator("schema_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SCHEMA_VERSION:
            msg = f"schema version {version} is not known; this release reads version {SCHEMA_VERSION}"
            raise ValueError(msg)
        return version

    @model_validator(mode="after")
    def _names_agree(self) -> BundleManifest:
        names = [defect.name for defect in self.defects]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"defects {shorten(twice)} are listed more than once; each defect is listed once"
            raise ValueError(msg)
        stray = sorted(name for name in self.tensors if not name.startswith(PREFIXES) or name in PREFIXES)
        if stray:
            msg = f"tensors {shorten(stray)} have none of the known prefixes {', '.join(PREFIXES)}"
            raise ValueError(msg)
        vectors = {name.removeprefix("condition.") for name in self.tensors if name.startswith("condition.")}
        if vectors != set(names):
            bare, orphans = sorted(set(names) - vectors), sorted(vectors - set(names))
            parts = [f"kinds without a condition tensor: {shorten(bare)}"] if bare else []
            parts += [f"condition tensors without a defect: {shorten(orphans)}"] if orphans else []
            raise ValueError("; ".join(parts))
        if self.base_digest is None and not any(name.startswith("denoiser.") for name in self.tensors):
            msg = "no denoiser.* tensor, and no base bundle (base_digest) that could hold them"
            raise ValueError(msg)
        if self.backbone == "latent":
            shapes = {name: spec.shape for name, spec in self.tensors.items()}
            check_latent(
                self.denoiser, self.codec, shapes, region_size=self.region_size, slim=self.base_digest is not None
            )
        return self


def manifest_json(manifest: BundleManifest) -> str:
    """Return the manifest as it is stored: JSON with sorted keys, so that the same content is the same text.

    Raises:
        ValueError: If a free field (such as ``training``) holds something that JSON cannot.
    """
    return json.dumps(manifest.model_dump(mode="json", by_alias=True), sort_keys=True)


def list_complaints(error: ValidationError) -> str:
    """Return what pydantic found wrong, in one line, at most five complaints with the values seen."""
    lines = []
    for item in error.errors()[:LISTED]:
        where = ".".join(map(str, item["loc"]))
        seen = "" if not where or item["type"] == "missing" else f", got {reprlib.repr(item['input'])}"
        lines.append(f"{where or 'manifest'}: {item['msg']}{seen}")
    return "; ".join(lines)


def read_manifest(path: Path) -> BundleManifest:
    """Read a bundle's header and check it against its manifest; no tensor is read.

    Args:
        path (Path): A file.

    Returns:
        BundleManifest: The manifest. The file then holds just the tensors that it promises, without gap or overlap.

    Raises:
        BundleError: If the file is missing, unreadable, cut short, not safetensors, or not what its manifest says.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            msg = f"{path}: is a folder; give the .safetensors file in it"
            raise BundleError(msg)
        if not stat.S_ISREG(mode):
            msg = f"{path}: is not a regular file; give a .safetensors file"
            raise BundleError(msg)
        header, room = read_header(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"{path}: no such file; give a bundle file or 'default' (nothing is downloaded)"
        raise BundleError(msg) from error
    except (OSError, ValueError, MemoryError) as error:
        msg = f"{path}: cannot be read ({error}); check the file and its permissions"
        raise BundleError(msg) from error
    manifest = _parse_manifest(path, header.pop("__metadata__", None))
    _check_table(path, header, manifest)
    _check_offsets(path, header, room=room)
    return manifest


def _parse_manifest(path: Path, metadata: object) -> BundleManifest:
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        msg = f"{path}: safetensors without the {METADATA_KEY!r} manifest; give a bundle written by anomalib-stage"
        raise BundleError(msg)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: the manifest is not JSON ({error}); get the file again"
        raise BundleError(msg) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if type(version) is not int or version != SCHEMA_VERSION:  # first: fields of another version are not complaints
        msg = f"{path}: schema version {version!r} is not known, only {SCHEMA_VERSION} is; update anomalib-stage"
        raise BundleError(msg)
    try:
        return BundleManifest.model_validate(content)
    except ValidationError as error:
        msg = f"{path}: the manifest is not valid: {list_complaints(error)}; get the file again"
        raise BundleError(msg) from error


def _check_table(path: Path, header: dict[str, Any], manifest: BundleManifest) -> None:
    """Compare the tensors in the header with those the manifest promises."""
    missing, unknown = sorted(set(manifest.tensors) - set(header)), sorted(set(header) - set(manifest.tensors))
    for names, what in ((missing, "missing from the file"), (unknown, "not in the manifest")):
        if names:
            msg = f"{path}: {len(names)} tensors {what}: {shorten(names)}; get the file again"
            raise BundleError(msg)
    wrong = []
    for name, spec in sorted(manifest.tensors.items()):
        entry = header[name] if isinstance(header[name], dict) else {}
        dtype, shape = entry.get("dtype"), entry.get("shape")
        if (dtype, shape) != (spec.dtype, list(spec.shape)):
            wrong.append(f"{name} is {dtype} {shape}, the manifest says {spec.dtype} {list(spec.shape)}")
    if wrong:
        msg = f"{path}: {len(wrong)} tensors of another shape or dtype: {shorten(wrong)}; get the file again"
        raise BundleError(msg)


def _check_offsets(path: Path, header: dict[str, Any], *, room: int) -> None:
    """Check that the tensors follow one another without gap or overlap and fill the file."""
    spans = []
    for name, entry in header.items():
        span = entry.get("data_offsets")
        if not (isinstance(span, list) and len(span) == 2 and all(type(edge) is int for edge in span)):
            msg = f"{path}: tensor {name} has offsets {span!r}, two integers are needed; get the file again"
            raise BundleError(msg)
        spans.append((span[0], span[1], name, math.prod(entry["shape"]) * ITEM_BYTES[entry["dtype"]]))
    end = 0
    for begin, stop, name, needed in sorted(spans):
        if begin != end or stop - begin != needed:
            msg = f"{path}: tensor {name} has offsets {begin, stop}, {end, end + needed} is right; get the file again"
            raise BundleError(msg)
        end = stop
    if end != room:
        what = "truncated" if room < end else "longer than it should be"
        msg = f"{path}: {what}, {room} bytes of tensors where the header lists {end}; get the file again"
        raise BundleError(msg)
