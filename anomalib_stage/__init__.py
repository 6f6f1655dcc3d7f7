# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""STAGE anomalies for anomalib: graded diffusion paints defects with pixel-exact masks into good images.

Importing this package is cheap: torch, diffusers and anomalib are imported when a name that needs them is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from anomalib_stage._version import __version__
from anomalib_stage.errors import (
    BundleError,
    DataError,
    DeviceError,
    InputError,
    MissingPackageError,
    StageError,
    UnsupportedModelError,
)

if TYPE_CHECKING:
    from anomalib_stage.pipeline.synthesizer import Pair, StageSynthesizer
    from anomalib_stage.plugin.callback.augment import StageAugment
    from anomalib_stage.plugin.data.collate import stage_collate
    from anomalib_stage.plugin.data.demo import StageDemo
    from anomalib_stage.plugin.data.folder import StageFolder
    from anomalib_stage.plugin.data.transform import StageTransform
    from anomalib_stage.plugin.model.segmenter import Segmenter
    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.weights.bundle import StageBundle

__all__ = [
    "BundleError",
    "DataError",
    "DeviceError",
    "InputError",
    "MissingPackageError",
    "Pair",
    "Segmenter",
    "StageAugment",
    "StageBundle",
    "StageDemo",
    "StageError",
    "StageFolder",
    "StageSynthesizer",
    "StageTransform",
    "SynthesisSettings",
    "UnsupportedModelError",
    "__version__",
    "stage_collate",
]

_HOMES = {
    "Pair": "anomalib_stage.pipeline.synthesizer",
    "Segmenter": "anomalib_stage.plugin.model.segmenter",
    "StageAugment": "anomalib_stage.plugin.callback.augment",
    "StageBundle": "anomalib_stage.weights.bundle",
    "StageDemo": "anomalib_stage.plugin.data.demo",
    "StageFolder": "anomalib_stage.plugin.data.folder",
    "StageSynthesizer": "anomalib_stage.pipeline.synthesizer",
    "StageTransform": "anomalib_stage.plugin.data.transform",
    "SynthesisSettings": "anomalib_stage.settings",
    "stage_collate": "anomalib_stage.plugin.data.collate",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOMES:
        msg = f"module 'anomalib_stage' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
