# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage verify``: every file of a pregenerated folder against its SHA-256."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["verify"]


def verify(*, folder: Path) -> Iterator[str]:
    """Check every file that pregenerate wrote against its SHA-256; exit status 1 if one is damaged or missing.

    Args:
        folder: Folder that pregenerate wrote, finished or not.
    """
    from anomalib_stage.pregeneration.verify import verify as run

    result, problems = run(folder)
    yield json.dumps(result)
    yield from problems
    if problems or result["remaining"]:
        msg = (
            f"{folder}: {len(problems)} files are damaged or missing, {result['remaining']} pairs are not finished; "
            "run the same pregenerate command again to mend it"
        )
        raise DataError(msg)
