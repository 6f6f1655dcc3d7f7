# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Names of sources and of their sums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["NONE", "name_files", "split_source"]

NONE = "none"
"""The source without anomalies."""


def split_source(source: str) -> list[str]:
    """Divide a sum at its plus signs, but not where they belong to the name of a file that is there.

    Args:
        source (str): Such as ``default+real``.

    Returns:
        list[str]: Its parts in order.
    """
    pieces = source.split("+")
    parts = []
    while pieces:
        files = (count for count in range(len(pieces), 1, -1) if Path("+".join(pieces[:count])).is_file())
        count = next(files, 1)
        parts.append("+".join(pieces[:count]))
        pieces = pieces[count:]
    return parts


def name_files(source: str, bundles: dict[str, StageBundle]) -> str:
    """Return the name of a source's files: bundles by name and digest, another file of that name is another source."""
    return "+".join(
        f"{Path(part).stem}-{bundles[part].digest[:12]}" if part in bundles else part for part in split_source(source)
    )
