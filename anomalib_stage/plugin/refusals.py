# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Why models must not see synthetic anomalies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["REASONS", "find_refusal", "list_class_names"]

_MEMORY = "it remembers features of its training images as normal, and would remember every synthetic anomaly too"

_FLOW = "it fits a normalizing flow to what it is shown, and would rate synthetic anomalies as likely"

_STUDENT = "its student imitates the teacher on whatever it is shown, and would learn to imitate it on anomalies"

_RECONSTRUCT = "it learns to reconstruct whatever it is shown, and would learn to reconstruct anomalies"

_DENSITY = "it fits what it is shown as normal, and would count synthetic anomalies in"

_FEATURES = "it makes its anomalies from features, reads no masks, and would count painted images as normal"

REASONS: dict[str, str] = {
    "MemoryBankMixin": _MEMORY,
    **dict.fromkeys(("Cflow", "Csflow", "Fastflow", "Uflow", "Patchflow"), _FLOW),
    **dict.fromkeys(("EfficientAd", "ReverseDistillation", "Stfpm", "L2BT"), _STUDENT),
    **dict.fromkeys(("Dinomaly", "Fre", "Ganomaly", "InpFormer"), _RECONSTRUCT),
    **dict.fromkeys(("Cfa", "CFM"), _DENSITY),
    "GeneralAD": _FEATURES,
}
"""Class name to the reason why the model must not see synthetic anomalies."""


def find_refusal(model: object) -> str | None:
    """Return why a model must not see synthetic anomalies, None if nothing is known against it."""
    return next((REASONS[name] for name in list_class_names(model) if name in REASONS), None)


def list_class_names(model: object) -> Sequence[str]:
    """Return the names of a model's class and its bases, itself first."""
    return [base.__name__ for base in type(model).__mro__]
