# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a weights bundle: what a file says it is. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from anomalib_stage.settings import FileSettings
from anomalib_stage.synthesis.masks.shapes.families import SHAPES
from anomalib_stage.weights.config_checks import check_config_numbers, check_schedule
from anomalib_stage.weights.defect_name import RULE, explain_name
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.latent_checks import check_latent

__all__ = ["PREFIXES", "SCHEMA_VERSION", "BundleManifest", "DefectSpec", "TensorSpec"]


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

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _check_name(name: str) -> str:
    if why := explain_name(name):
        msg = f"{why}; {RULE}"
        raise ValueError(msg)
    return name


Name = Annotated[str, AfterValidator(_check_name)]


class DefectSpec(FileSettings):
    """A defect that the bundle can paint.

    Attributes:
        name: Name of the defect, see :data:`~anomalib_stage.weights.defect_name.RULE`.
        shapes: Mask shapes to draw from where no mask is given.
        softness: How far real anomalies of this defect fade towards the edge of their mask, measured by ``fit``: 0 not
            at all, 1 from where the mask is deepest; None: not measured.
        texture_continuity: How far the surface's texture goes on in large real anomalies of this defect, measured by
            ``fit``: 1 it does, 0 they are of another material; None: not measured, as 1.
    """

    name: Name
    shapes: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    softness: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    texture_continuity: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(None, alias="goes_on")

    @field_validator("shapes")
    @classmethod
    def _check_shapes(cls, shapes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [shape for shape in shapes if shape not in SHAPES]
        if unknown:
            msg = f"unknown mask shapes {shorten(unknown)}; {', '.join(SHAPES)} are known"
            raise ValueError(msg)
        return shapes


class TensorSpec(FileSettings):
    """Shape and dtype (safetensors' name) that a tensor must have."""

    shape: Annotated[tuple[Annotated[int, Field(ge=0, le=2**48)], ...], Field(max_length=8)]
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
        digest: SHA-256 over the tensors, see :func:`anomalib_stage.weights.tensor_file.compute_digest`.
        content_digest: SHA-256 over all that decides pictures, see
            :func:`anomalib_stage.weights.manifest_file.compute_content_digest`; None: written by version 0.1.0, which
            knew the digest of the tensors alone.
        versions: Versions of the packages that wrote it.
    """

    schema_version: int = SCHEMA_VERSION
    backbone: Literal["compact", "latent"]
    denoiser: dict[str, Any]
    codec: dict[str, Any] = Field(default_factory=dict)
    schedule: dict[str, Any]
    region_size: Annotated[int, Field(ge=16, le=4096)] = 64
    defects: Annotated[tuple[DefectSpec, ...], Field(min_length=1, max_length=1000, alias="kinds")]
    training: dict[str, Any] = Field(default_factory=dict)
    base_digest: Digest | None = None
    tensors: dict[str, TensorSpec]
    digest: Digest
    content_digest: Digest | None = None
    versions: dict[str, str] = Field(default_factory=dict)

    @field_validator("schema_version")
    @classmethod
    def _check_version(cls, version: int) -> int:
        if version != SCHEMA_VERSION:
            msg = f"schema version {version} is not known; this release reads version {SCHEMA_VERSION}"
            raise ValueError(msg)
        return version

    @field_validator("denoiser", "codec")
    @classmethod
    def _check_config(cls, config: dict[str, Any]) -> dict[str, Any]:
        check_config_numbers(config, field="configuration")
        return config

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, schedule: dict[str, Any]) -> dict[str, Any]:
        check_schedule(schedule)
        return schedule

    @model_validator(mode="after")
    def _check_names(self) -> BundleManifest:
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
            parts = [f"defects without a condition tensor: {shorten(bare)}"] if bare else []
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
