# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Frozen, validated settings. No torch here: importing this module is cheap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anomalib_stage.deprecated.arguments import rename_settings
from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "FileSettings",
    "GateSettings",
    "LatentSettings",
    "MaskSettings",
    "SamplerSettings",
    "Settings",
    "SynthesisSettings",
    "build_settings",
    "validated",
]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Side = Annotated[float, Field(gt=0.0, le=1.0)]
Extent = tuple[Side, Side]

USUAL, LARGE = (0.03, 0.3), (0.12, 0.6)
"""Extent of drawn masks, and of displaced surface."""


class Settings(BaseModel):
    """Base of all settings: frozen, and unknown names are refused.

    An alias is the name that a field has in files; it stays when the field gets a better one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, loc_by_alias=False)


class FileSettings(Settings):
    """Base of what is read from files: complaints name the keys that stand there."""

    model_config = ConfigDict(loc_by_alias=True)


class SamplerSettings(Settings):
    """How a region is sampled.

    Attributes:
        name: ``graded`` (few steps, shared background noise) or ``reference`` (the published loop, number for number).
        steps: Denoising steps of the graded sampler, 4 to 1000; None: 8 with the compact backbone, 20 with the latent
            one. The reference sampler always uses every training step.
        windows: Windows of the anomaly-only branch as fractions of the diffusion time, 1 = pure noise. Each window gets
            at least one step. Empty: the anomaly-aware branch alone.
        clip: Predicted clean latents are clamped to plus or minus this value; 0 turns it off.
    """

    name: Literal["graded", "reference"] = "graded"
    steps: Annotated[int, Field(ge=4, le=1000)] | None = None
    windows: tuple[tuple[Fraction, Fraction], ...] = ((0.7, 0.8), (0.3, 0.4))
    clip: Annotated[float, Field(ge=0.0)] = 1.05

    @model_validator(mode="after")
    def _windows_are_ordered(self) -> SamplerSettings:
        for low, high in self.windows:
            if low >= high:
                msg = f"window ({low}, {high}) is empty; give (low, high) with low < high"
                raise ValueError(msg)
        return self


class MaskSettings(Settings):
    """How large drawn masks are and where they may lie.

    Attributes:
        extent: Range of the longest side of a drawn defect, as a fraction of the shorter image side; log-uniform.
        min_extent: Lower bound of that side in pixels.
        foreground: ``auto`` keeps masks on the object, which is estimated from the image (a texture that fills the
            frame is all object); ``none`` lets them lie anywhere.
        bank_share: Share of masks drawn from the bundle's bank of real masks, for defects that have some; the others
            are drawn shapes, as large as those of the bank.
        bank_defects: Share of anomalies of defects that have real masks, where the bundle has others too and no defect
            is given: a fitted bundle paints what it was fitted on more often than what it knew before.
        displaced: Share of the chips, contaminations, discolorations and stains that are large and show another place
            of the image (:mod:`~anomalib_stage.synthesis.appearance.displaced`); good surface that is painted again
            gets masks as large as often as anomalies. Without effect on defects with real masks, which say what the
            defect is like, where masks are given, on a latent backbone, and with the published sampler. The share of
            them that ``exemplars`` leaves out is painted by the network, as large.
        displaced_extent: ``extent`` of those; None: 0.12 to 0.6, or ``extent`` if that is not the default.
    """

    extent: Extent = USUAL
    min_extent: Annotated[int, Field(ge=1)] = 4
    foreground: Literal["auto", "none"] = "auto"
    bank_share: Fraction = 0.8
    bank_defects: Fraction = Field(0.6, alias="bank_kinds")
    displaced: Fraction = 0.35
    displaced_extent: Extent | None = None

    @property
    def large(self) -> tuple[float, float]:
        """Extent of displaced surface."""
        return self.displaced_extent or (LARGE if self.extent == USUAL else self.extent)

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> MaskSettings:
        for name, ends in (("extent", self.extent), ("displaced_extent", self.large)):
            if ends[0] > ends[1]:
                msg = f"{name} {ends} is empty; give (smallest, largest)"
                raise ValueError(msg)
        return self


class GateSettings(Settings):
    """Which anomalies are visible enough to be called anomalies.

    Attributes:
        min_visibility: Least change inside the mask, in units of what good surface painted over good surface would
            change (:func:`~anomalib_stage.synthesis.blend.visibility.measure_visibility`); 0 lets everything pass.
        min_agreement: Least share of the mask's pixels that must be visible.
        trim: Take pixels without visible change out of the mask; they stay as they were.
        max_tries: Pictures tried for an image: two for each mask, where masks are drawn. After the last the image stays
            good.
    """

    min_visibility: Annotated[float, Field(ge=0.0)] = 1.2
    min_agreement: Fraction = 0.25
    trim: bool = False
    max_tries: Annotated[int, Field(ge=1, le=100)] = 6


class LatentSettings(Settings):
    """How a latent backbone computes; without effect on the compact one.

    Attributes:
        precision: Of the U-Net: ``auto`` is bf16 on a CUDA device that multiplies in it, else fp32. The autoencoder
            always computes in fp32.
        batch: Most regions of the native size in one call of the U-Net; larger regions count by area.
        channels_last: Lay out U-Net and autoencoder for tensor cores.
        slicing: Decode one region at a time, for little memory; regions are always encoded one at a time.
        compile: Compile the U-Net with ``torch.compile``; takes minutes at first, again for each size of region.
    """

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    batch: Annotated[int, Field(ge=1)] = 8
    channels_last: bool = True
    slicing: bool = False
    compile: bool = False


class SynthesisSettings(Settings):
    """Everything that changes what :class:`~anomalib_stage.StageSynthesizer` paints.

    Attributes:
        sampler: How a region is sampled.
        masks: How large drawn masks are and where they may lie.
        gate: Which anomalies are visible enough.
        strength: Range of the strength of an anomaly, drawn for each sample, in (0, 1]: 1 paints what the network
            thinks of, less keeps that share of the way from the clean surface.
        texture_transfer: How far the largest anomalies (from 2,400 pixels; none below 400) go on with the texture of
            the surface under them, in the anomaly's tone: 0 paints all of it anew, 1 nothing but the tone. Less for
            fitted defects whose real anomalies are of another material.
        match_grain: Give painted places the finest detail of the surface under them
            (:mod:`~anomalib_stage.synthesis.blend.grain`).
        softness: Range of how far anomalies fade towards the mask's edge, hard ones more often: 0 not at all, 1 from
            where the mask is deepest. Defects that were fitted have a range of their own, unless this is (0, 0). Intact
            surface always goes over into the surface around (:mod:`~anomalib_stage.synthesis.blend.feather`). The
            published sampler does none of this.
        any_colour: Share of the stains, contaminations, discolorations, scratches and chips that are of any colour, on
            surfaces that are not grey; the others have colours that were measured in training. Defects that were fitted
            keep theirs, and a latent backbone decides itself.
        exemplars: Share of the anomalies of fitted defects with real masks that take their detail from the real defect
            (:mod:`~anomalib_stage.synthesis.appearance.exemplar`); the network makes up that of the others. Those
            anomalies have the real one's edges, whatever ``softness``, and its grain unless it was enlarged or reduced.
            Without effect where masks are given, on a latent backbone, and with the published sampler.
        margin: Clean surface around the defect in its region, in pixels.
        region_batch: Most regions of the smallest size in one call of the denoiser; larger regions count by area.
        latent: How a latent backbone computes.
    """

    sampler: SamplerSettings = SamplerSettings()
    masks: MaskSettings = MaskSettings()
    gate: GateSettings = GateSettings()
    strength: tuple[Side, Side] = (1.0, 1.0)
    texture_transfer: Fraction = Field(0.8, alias="keep_texture")
    match_grain: bool = Field(default=True, alias="own_grain")
    softness: tuple[Fraction, Fraction] = (0.0, 0.4)
    any_colour: Fraction = Field(0.5, alias="foreign")
    exemplars: Fraction = 1.0
    margin: Annotated[int, Field(ge=4, le=256)] = 8
    region_batch: Annotated[int, Field(ge=1)] = 64
    latent: LatentSettings = LatentSettings()

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> SynthesisSettings:
        for name, (low, high), ends in (
            ("strength", self.strength, "(weakest, strongest)"),
            ("softness", self.softness, "(hardest, softest)"),
        ):
            if low > high:
                msg = f"{name} {(low, high)} is empty; give {ends}"
                raise ValueError(msg)
        return self


SettingsT = TypeVar("SettingsT", bound=Settings)


def validated(cls: type[SettingsT], **values: Any) -> SettingsT:  # noqa: ANN401
    """Build settings; a bad value is one :class:`~anomalib_stage.errors.InputError` with every complaint in it."""
    try:
        return cls(**values)
    except ValidationError as error:
        msg = f"bad settings: {'; '.join(map(_complaint, error.errors()))}"
        raise InputError(msg) from error


def build_settings(
    synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
    *,
    sampling_steps: int | None = None,
    strength: tuple[float, float] | None = None,
    foreground: Literal["auto", "none"] | None = None,
    extent: tuple[float, float] | None = None,
    min_visibility: float | None = None,
    trim: bool | None = None,
) -> SynthesisSettings:
    """Build settings from what a user changes of the defaults: the only place where options become settings.

    Args:
        synthesis (SynthesisSettings | Mapping[str, Any] | None): What differs from the defaults, such as
            ``{"masks": {"extent": [0.03, 0.6]}}``.
        sampling_steps (int | None): ``sampler.steps``. Here and below, None is an option that was not given.
        strength (tuple[float, float] | None): ``strength``.
        foreground (Literal["auto", "none"] | None): ``masks.foreground``.
        extent (tuple[float, float] | None): ``masks.extent``.
        min_visibility (float | None): ``gate.min_visibility``.
        trim (bool | None): ``gate.trim``.

    Returns:
        SynthesisSettings: Validated.

    Raises:
        InputError: With every complaint, if a name or value cannot be used; or if an option and ``synthesis`` say
            different things.
    """
    tree = rename_settings(_plain(synthesis))
    for option, path, value in (
        ("sampling_steps", "sampler.steps", sampling_steps),
        ("strength", "strength", strength),
        ("foreground", "masks.foreground", foreground),
        ("extent", "masks.extent", extent),
        ("min_visibility", "gate.min_visibility", min_visibility),
        ("trim", "gate.trim", trim),
    ):
        if value is not None:
            _state(tree, path, value, option=option)
    return validated(SynthesisSettings, **tree)


def _plain(synthesis: object) -> dict[str, Any]:
    """Return what was stated of settings as nested dictionaries of one's own."""
    if isinstance(synthesis, Settings):
        return synthesis.model_dump(exclude_unset=True)
    if not isinstance(synthesis, Mapping | None):
        msg = f"synthesis is {synthesis!r}; give a mapping of settings such as {{'gate': {{'trim': True}}}}"
        raise InputError(msg)
    return {
        name: _plain(value) if isinstance(value, Settings | Mapping) else value
        for name, value in (synthesis or {}).items()
    }


def _state(tree: dict[str, Any], path: str, value: object, *, option: str) -> None:
    """Put an option's value where it belongs, unless something else is there."""
    *folders, leaf = path.split(".")
    for folder in folders:
        inner = tree.setdefault(folder, {})
        if not isinstance(inner, dict):
            return  # no mapping, which validation says
        tree = inner
    if leaf in tree and tree[leaf] not in (value, list(value) if isinstance(value, tuple) else value):
        msg = f"{option} is {value!r}, but synthesis says {path} {tree[leaf]!r}; give one of them"
        raise InputError(msg)
    tree[leaf] = value


def _complaint(error: ErrorDetails) -> str:
    if error["type"] == "value_error":  # of several values together, which the message names
        return error["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}, got {error['input']!r}"
