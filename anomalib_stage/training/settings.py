# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How a compact denoiser is fitted. No torch here: the options of ``anomalib-stage fit`` are made from this."""

from __future__ import annotations

import re
import reprlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from anomalib_stage.errors import InputError
from anomalib_stage.settings import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["MOST_REGIONS", "FitSettings", "build_fit_settings", "check_duration", "parse_duration"]

USUAL_TIME = timedelta(minutes=20)
LONGEST = timedelta(days=3650)
MOST_REGIONS = 16384
"""Most regions in a step; a step of more has no memory anywhere."""

DIGITS = 8
"""Most digits of a number of a duration."""

BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}


class FitSettings(Settings):
    """Everything that :func:`~anomalib_stage.training.fit.fit` learns from, and how; each field says what it is."""

    out: Path = Field(description="Bundle to write (.safetensors).")
    data: Path | None = Field(None, description="Folder of good images, searched recursively.")
    defect_dir: Path | None = Field(None, description="Folder with one sub-folder of defect images for each defect.")
    defect_mask_dir: Path | None = Field(
        None, description="Folder with the same sub-folders of masks, <stem>_mask.png or <stem>.png (any image format)."
    )
    split: Path | None = Field(
        None, description='JSON file {defect: [stems]} or {defect: {"fit": [stems]}} of the defects to use.'
    )
    rename: dict[str, str] | None = Field(
        None, description="Names to learn folders under, {folder: defect}; two folders may share one."
    )
    groups: Path | None = Field(
        None,
        description='JSON file {stem: group} or {"group_of": {stem: group}} of captures that show the same piece '
        "(folder/stem where folders use the same stems); groups.json beside the defects if there is one.",
    )
    white_level: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Largest value of a pixel in images deeper than 8 bit, such as 4095; found over all images if not "
        "given.",
    )
    held_out: float = Field(
        0.15,
        ge=0.0,
        le=0.5,
        description="Share of the real defects of each defect, by groups, that only judge, 0 to 0.5; at least one "
        "where there are three, at most a third.",
    )
    rotate: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Turn real regions by quarters; auto: not where the good images are grained in one direction, nor "
        "for defects whose long masks lie in one direction. Flips are always made.",
    )
    base: str = Field("default", description='Bundle to start from: "default", "none" (from scratch) or a file.')
    procedural: float = Field(
        0.25, ge=0.0, le=1.0, description="Share of rendered surfaces with rendered defects in training, 0 to 1."
    )
    max_steps: int | None = Field(
        None, ge=1, description="Steps in total; the learning rate decays to 0 over them, or over the time."
    )
    max_time: str | None = Field(
        None,
        description="Wall-clock limit HH:MM:SS; 20 minutes if neither limit is given. By time, runs do not repeat each "
        "other.",
    )
    batch_size: int = Field(16, ge=1, le=MOST_REGIONS, description="Regions in a step.")
    learning_rate: float = Field(4e-4, gt=0.0, allow_inf_nan=False, description="Peak learning rate.")
    seed: int = Field(
        0, description="Base seed; with max-steps, without max-time, on one machine it decides the bundle."
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    workdir: Path | None = Field(
        None, description="Checkpoints, logs and sample sheets; <out without suffix>-fit by default."
    )
    check_steps: int = Field(100, ge=1, description="Steps between checks of the defects held out.")
    patience: int = Field(
        10, ge=0, description="Checks without a better loss after which training stops, 0 never; the best are kept."
    )
    sheet_minutes: float = Field(5.0, gt=0.0, description="Minutes between sample sheets.")
    no_bank: bool = Field(
        default=False,
        description="Do not keep the real masks, their places and the pictures of the defects; masks are then drawn "
        "from shapes. Defects of the base that are not fitted again keep theirs.",
    )
    no_exemplars: bool = Field(
        default=False,
        description="Keep masks and places, but no pictures of the defects; all detail of anomalies is then the "
        "network's.",
    )
    freeze: bool = Field(
        default=False, description="Learn nothing but the condition vectors of the defects in --defect-dir."
    )
    resume: bool = Field(
        default=False,
        description="Go on from the last checkpoint in workdir, with the arguments it was started with; the time may "
        "be another.",
    )

    @property
    def limit(self) -> timedelta | None:
        """Wall-clock limit."""
        if self.max_time is None:
            return USUAL_TIME if self.max_steps is None else None
        return parse_duration(self.max_time)

    @property
    def rendered_share(self) -> float:
        """Share of rendered defects; a frozen network does not learn from them."""
        return 0.0 if self.freeze else self.procedural

    @property
    def folder(self) -> Path:
        """Where checkpoints, logs and sample sheets go."""
        return self.workdir or self.out.with_suffix("").with_name(self.out.stem + "-fit")

    @field_validator("max_time")
    @classmethod
    def _is_a_time(cls, text: str | None) -> str | None:
        return text if text is None else check_duration(text)

    @field_validator("out")
    @classmethod
    def _is_no_folder(cls, out: Path) -> Path:
        if out.is_dir():
            msg = f"--out {out} is a folder; give the file to write, such as {out / 'mine.safetensors'}"
            raise ValueError(msg)
        return out

    @model_validator(mode="after")
    def _has_something_new_to_freeze(self) -> FitSettings:
        if self.freeze and (self.defect_dir is None or self.base == "none"):
            msg = (
                "--freeze learns new defects on top of a base; give --defect-dir and --defect-mask-dir, and a --base "
                "other than none"
            )
            raise ValueError(msg)
        return self


def parse_duration(text: str) -> timedelta:
    """Read a duration written ``HH:MM:SS``; the three numbers may be of any size that a duration can have."""
    hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def check_duration(text: str) -> str:
    """Return a wall-clock limit if it is one.

    Raises:
        ValueError: If it is not written ``HH:MM:SS``, is 0, or is longer than ten years.
    """
    seen = f"--max-time is {reprlib.repr(text)}"
    if not re.fullmatch(r"\d+:\d+:\d+", text):
        msg = f"{seen}; give hours, minutes and seconds as HH:MM:SS"
        raise ValueError(msg)
    if max(map(len, text.split(":"))) > DIGITS or parse_duration(text) > LONGEST:
        msg = f"{seen}; it must be at most ten years, {LONGEST.days * 24}:00:00: leave it out and give --max-steps"
        raise ValueError(msg)
    if not parse_duration(text):
        msg = f"{seen}; it must be above 0"
        raise ValueError(msg)
    return text


def build_fit_settings(settings: FitSettings | None = None, **options: Any) -> FitSettings:  # noqa: ANN401
    """Build settings from options, on top of others if there are any.

    Args:
        settings (FitSettings | None): Settings that ``options`` change; None: the defaults.
        **options (Any): Fields of :class:`FitSettings`.

    Raises:
        InputError: With every complaint; the names are those of the command line.
    """
    given = {} if settings is None else {name: getattr(settings, name) for name in settings.model_fields_set}
    try:
        return FitSettings(**{**given, **options})
    except ValidationError as error:
        raise InputError("; ".join(map(_describe_complaint, error.errors()))) from error


def _describe_complaint(error: ErrorDetails) -> str:
    """Say what is wrong with an option, what it must be, and nothing of pydantic."""
    if error["type"] == "value_error":  # our own words
        return error["msg"].removeprefix("Value error, ")
    name = str(error["loc"][0])
    option, field = f"--{name.replace('_', '-')}", FitSettings.model_fields.get(name)
    if field is None:
        return f"{option} is no option of fit; there are {', '.join(FitSettings.model_fields)}"
    if error["type"] == "missing":
        return f"{option} is required"
    bounds = {key: getattr(rule, key) for rule in field.metadata for key in BOUNDS if hasattr(rule, key)}
    if isinstance(error["input"], int | float) and {"ge", "le"} <= bounds.keys():
        allowed = f"in [{bounds['ge']:g}, {bounds['le']:g}]"
    elif isinstance(error["input"], int | float) and bounds:
        allowed = " and ".join(BOUNDS[key].format(f"{bound:g}") for key, bound in bounds.items())
    else:
        allowed = error["msg"].removeprefix("Input should be ")
    return f"{option} is {reprlib.repr(error['input'])}; it must be {allowed}"
