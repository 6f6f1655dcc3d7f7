# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage inspect``: what a bundle is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["inspect"]


def inspect(file: str) -> Iterator[str]:
    """Print what a bundle is: backbone, defects, training, digest. Validates the whole file.

    Args:
        file: "default" or a bundle file.
    """
    from anomalib_stage.weights.bundle import StageBundle

    rows = StageBundle.load(file).describe()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield f"{name:<{width}}  {value}"
