# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a weights bundle: what a file says it is. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from anomalib_stage.settings import Settings

__all__ = ["METADATA_KEY", "PREFIXES", "SCHEMA_VERSION", "BundleManifest", "KindSpec", "TensorSpec"]

METADATA_KEY = "anomalib_stage"
"""Key of the safetensors metadata that holds the manifest as JSON."""

SCHEMA_VERSION = 1

PREFIXES = ("denoiser.", "condition.", "adapter.aware.", "adapter.only.", "codec.", "mask_bank.", "prior.")
"""Every tensor's name begins with one of these."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s./\\][^./\\]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class KindSpec(Settings):
    """A defect kind that the bundle can paint.

    Attributes:
        name: Name of the kind: no dot, slash or leading blank.
        shapes: Mask shapes to draw from where no mask is given.
    """

    name: Name
    shapes: Annotated[tuple[str, ...], Field(min_length=1)]


class TensorSpec(Settings):
    """Shape and dtype (safetensors' name) that a tensor must have."""

    shape: tuple[Annotated[int, Field(ge=0)], ...]
    dtype: Literal["F32", "F16", "BF16", "U8", "I64", "BOOL"]


class BundleManifest(Settings):
    """What a weights bundle says about itself; stored as one JSON value in the file's metadata.

    Attributes:
        schema_version: Version of this format.
        backbone: ``compact`` or ``latent``.
        denoiser: Configuration of the network.
        codec: Configuration of the codec between pixels and latents.
        schedule: Configuration of the diffusers noise schedule.
        region_size: Base side of a region in pixels.
        kinds: Defect kinds, each with a condition vector; ``good`` is intact surface.
        training: How it was made: data, steps, seed, command, licence.
        base_digest: Digest of the bundle that it was fitted from, if any.
        tensors: Shape and dtype of every tensor in the file.
        digest: SHA-256 over the tensors, see :func:`anomalib_stage.weights.bundle.digest_of`.
        versions: Versions of the packages that wrote it.
    """

    schema_version: int = SCHEMA_VERSION
    backbone: Literal["compact", "latent"]
    denoiser: dict[str, Any]
    codec: dict[str, Any] = {}
    schedule: dict[str, Any]
    region_size: Annotated[int, Field(ge=16, le=4096)] = 64
    kinds: Annotated[tuple[KindSpec, ...], Field(min_length=1)]
    training: dict[str, Any] = {}
    base_digest: Digest | None = None
    tensors: dict[str, TensorSpec]
    digest: Digest
    versions: dict[str, str] = {}

    @field_validator("schema_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SCHEMA_VERSION:
            msg = f"schema version {version} is not known; this release reads version {SCHEMA_VERSION}"
            raise ValueError(msg)
        return version

    @model_validator(mode="after")
    def _names_agree(self) -> BundleManifest:
        names = [kind.name for kind in self.kinds]
        if len(set(names)) != len(names):
            msg = f"defect kinds {names} are not unique"
            raise ValueError(msg)
        stray = sorted(name for name in self.tensors if not name.startswith(PREFIXES))
        if stray:
            msg = f"tensors {stray[:5]} have none of the known prefixes {PREFIXES}"
            raise ValueError(msg)
        conditions = {name.removeprefix("condition.") for name in self.tensors if name.startswith("condition.")}
        if conditions != set(names):
            msg = f"condition vectors {sorted(conditions)} do not match the kinds {sorted(names)}"
            raise ValueError(msg)
        if self.base_digest is None and not any(name.startswith("denoiser.") for name in self.tensors):
            msg = "no denoiser.* tensor, and no base that could hold them"
            raise ValueError(msg)
        return self
