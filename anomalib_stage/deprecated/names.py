# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Every old name that users may still write, and its new one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ARGUMENTS", "MOVED", "SYNTHESIS", "find_renames"]

_FIT = {"normal": "data", "defects": "defect_dir", "masks": "defect_mask_dir", "include": "split"}
_SAMPLING = {"steps": "sampling_steps"}

ARGUMENTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "pregenerate": _SAMPLING,
        "preview": _SAMPLING,
        "quality": _SAMPLING,
        "benchmark_speed": _SAMPLING,
        "benchmark": {"steps": "max_steps"},
        "fit": _FIT,
        "fit_latent": _FIT,
        "StageAugment": _SAMPLING,
        "StageTransform": _SAMPLING,
        "StageSynthesizer": {"settings": "synthesis"},
        "StageBundle": {"kinds": "defects"},
    }
)
"""Arguments, by the function or class that takes them. ``fit_latent`` is the command ``fit-latent``, and its argument
``defect_dir`` the option ``--defect-dir``."""

SYNTHESIS: Mapping[str, str] = MappingProxyType(
    {
        "own_grain": "match_grain",
        "keep_texture": "texture_transfer",
        "foreign": "any_colour",
        "masks.bank_kinds": "masks.bank_defects",
    }
)
"""Keys of ``synthesis``. What is on disk keeps the old ones."""

_PLUGIN = {
    "extent": "synthesis={'masks': {'extent': ...}}",
    "min_visibility": "synthesis={'gate': {'min_visibility': ...}}",
    "trim": "synthesis={'gate': {'trim': ...}}",
}
MOVED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "StageAugment": _PLUGIN | {"mode": "seam='batch' or seam='swap'", "target": "seam='swap:<dotted path>'"},
        "StageTransform": _PLUGIN,
    }
)
"""Arguments of a class that went into another one."""


def find_renames(command: str) -> Mapping[str, str]:
    """Return the old names of a function's or command's arguments with the new ones; dashes are underscores here."""
    return ARGUMENTS.get(command.replace("-", "_"), {})
