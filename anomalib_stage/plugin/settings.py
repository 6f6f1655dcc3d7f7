# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the callback and the transform make of their arguments, old ones included. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from anomalib_stage.deprecated.arguments import warn_moved
from anomalib_stage.errors import InputError
from anomalib_stage.settings import build_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomalib_stage.settings import SynthesisSettings

__all__ = ["build_plugin_settings", "read_seam"]

SEAMS = ("auto", "batch", "swap")


def build_plugin_settings(
    owner: str,
    synthesis: SynthesisSettings | Mapping[str, Any] | None,
    *,
    sampling_steps: int | None,
    strength: tuple[float, float] | None,
    foreground: Literal["auto", "none"] | None,
    steps: int | None,
    **moved: Any,  # noqa: ANN401 - arguments of any type
) -> SynthesisSettings:
    """Build the synthesizer's settings, and say what the old arguments are called now.

    Args:
        owner (str): Class whose arguments these are.
        synthesis (SynthesisSettings | Mapping[str, Any] | None): See :func:`~anomalib_stage.settings.build_settings`,
            as for the next three.
        sampling_steps (int | None): Denoising steps.
        strength (tuple[float, float] | None): Weakest and strongest anomaly.
        foreground (Literal["auto", "none"] | None): Where defects may lie.
        steps (int | None): Old name of ``sampling_steps``.
        **moved (Any): Old arguments that are settings now: ``extent``, ``min_visibility``, ``trim``.

    Returns:
        SynthesisSettings: Validated.

    Raises:
        InputError: If an argument cannot be used, or is given twice.
    """
    warn_moved(owner, steps=steps, **moved)
    if steps is not None and sampling_steps is not None:
        msg = f"{owner}: steps is the old name of sampling_steps; give one of them"
        raise InputError(msg)
    return build_settings(
        synthesis,
        sampling_steps=steps if sampling_steps is None else sampling_steps,
        strength=strength,
        foreground=foreground,
        **moved,
    )


def read_seam(seam: object, *, mode: str | None, target: str | None) -> tuple[str, str | None]:
    """Read how a model takes anomalies.

    Args:
        seam (object): ``auto``, ``batch``, ``swap`` or ``swap:<dotted path>``.
        mode (str | None): Old argument: the first part of ``seam``.
        target (str | None): Old argument: its second part.

    Returns:
        tuple[str, str | None]: ``auto``, ``batch`` or ``swap``, and the dotted path of a generator.

    Raises:
        InputError: If there is no such seam, or it is given twice.
    """
    if warn_moved("StageAugment", mode=mode, target=target):
        if seam != "auto" or (mode == "batch" and target is not None):
            msg = (
                f"StageAugment: seam is {seam!r}, mode {mode!r} and target {target!r}; give seam='batch', or "
                "seam='swap:<dotted path>' with the path of a generator, and nothing else"
            )
            raise InputError(msg)
        seam = (mode or "auto") if target is None else f"swap:{target}"
    name, colon, path = seam.partition(":") if isinstance(seam, str) else ("", "", "")
    if name not in SEAMS or (colon and (name != "swap" or not path)):
        msg = f"StageAugment: seam is {seam!r}; give 'auto', 'batch', 'swap' or 'swap:<dotted path of a generator>'"
        raise InputError(msg)
    return name, path or None
