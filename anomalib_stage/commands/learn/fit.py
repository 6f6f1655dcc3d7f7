# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit``: a bundle of good images, rendered defects and real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anomalib_stage.commands.options import options_of
from anomalib_stage.training.settings import FitSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fit"]


@options_of(FitSettings)
def fit(**options: Any) -> Iterator[str]:  # noqa: ANN401 - those of FitSettings
    """Train a denoiser on good images, real defects and rendered ones, and write its bundle."""
    from anomalib_stage.training.fit import fit as run
    from anomalib_stage.training.report import format_report
    from anomalib_stage.weights.bundle import StageBundle

    written = run(**options)
    yield from format_report(StageBundle.load(written).manifest.training)
    yield str(written)
