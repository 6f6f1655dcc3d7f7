# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage inspect``: what a bundle is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["inspect"]

MOST = (60, 2000)
"""Most characters of a name and of a value."""


def inspect(file: str) -> Iterator[str]:
    """Print what a bundle is: backbone, defects, training, digest. Validates the whole file.

    Args:
        file: "default" or a bundle file.
    """
    from anomalib_stage.errors import escape_controls
    from anomalib_stage.weights.bundle import StageBundle

    described = StageBundle.load(file).describe()
    rows = [[escape_controls(_shorten(text, most)) for text, most in zip(row, MOST, strict=True)] for row in described]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield f"{name:<{width}}  {value}"


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text) - most} characters more)"
