# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The synthesizer's settings from the plain options of a callback or transform. No torch here."""

from __future__ import annotations

from typing import Any, Literal

from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings, validated

__all__ = ["synthesis_settings"]


def synthesis_settings(
    *,
    steps: int | None,
    foreground: Literal["auto", "none"],
    extent: tuple[float, float] | None,
    strength: tuple[float, float] | None,
    min_visibility: float | None,
    trim: bool,
) -> SynthesisSettings:
    """Build the settings; None leaves an option at its own default.

    Args:
        steps (int | None): Denoising steps, 4 to 1000; None: as many as the bundle's backbone needs.
        foreground (Literal["auto", "none"]): Keep defects on the object, or let them lie anywhere.
        extent (tuple[float, float] | None): Smallest and largest defect as fractions of the shorter image side.
        strength (tuple[float, float] | None): Weakest and strongest anomaly, in (0, 1].
        min_visibility (float | None): Least change inside a mask; 0: everything passes.
        trim (bool): Take pixels without visible change out of the masks.

    Returns:
        SynthesisSettings: Validated.

    Raises:
        InputError: If an option cannot be used.
    """
    return validated(
        SynthesisSettings,
        sampler=validated(SamplerSettings, steps=steps),
        masks=validated(MaskSettings, foreground=foreground, **_stated(extent=extent)),
        gate=validated(GateSettings, trim=trim, **_stated(min_visibility=min_visibility)),
        **_stated(strength=strength),
    )


def _stated(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - options of any type
    return {name: value for name, value in values.items() if value is not None}
