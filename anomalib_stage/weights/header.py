# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The header of a safetensors file, read with distrust. No torch here."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import BundleError, escape_controls

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_header", "shorten"]

MAX_HEADER = 16 * 1000 * 1000
"""Largest believable header in bytes; those of the largest networks have a tenth."""

LISTED, LONGEST = 5, 100  # most names in one message, most characters of each

ANY_COLOUR = (
    (b"\x89PNG", "it is a PNG image"),
    (b"PK\x03\x04", "it is a zip archive, such as torch.save writes; pickles are never opened"),
    (b"\x80", "it looks like a pickle; pickles are never opened"),
    (b"version https://git-lfs", "it is a Git LFS pointer; run 'git lfs pull'"),
    (b"<", "it looks like a web page"),
)
"""First bytes of what people give by mistake."""


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Read the header of a safetensors file.

    Args:
        path (Path): A regular file.

    Returns:
        tuple[dict[str, Any], int]: The parsed header, and the number of bytes behind it.

    Raises:
        BundleError: If it is cut short, too long or not JSON.
        OSError: If the file cannot be read.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(32)
        length = int.from_bytes(start[:8], "little")
        if size < 10:
            msg = f"{path}: {'empty' if size == 0 else f'only {size} bytes long'}; get the file again"
            raise BundleError(msg)
        if start[8:9] != b"{" or length > MAX_HEADER:
            reason = next((what for magic, what in ANY_COLOUR if start.startswith(magic)), None)
            raise _build_format_error(
                path, reason or f"its header claims {length} bytes, at most {MAX_HEADER} are allowed"
            )
        if length > size - 8:
            msg = f"{path}: truncated, a header of {length} bytes in a file of {size}; get the file again"
            raise BundleError(msg)
        stream.seek(8)
        raw = stream.read(length)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        raise _build_format_error(path, f"its header is not JSON: {error}") from error
    return header, size - 8 - length


def _build_format_error(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: not a safetensors file ({reason}); give a bundle written by anomalib-stage")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        msg = f"{shorten(sorted(name for name, count in counts.items() if count > 1))} listed more than once"
        raise ValueError(msg)
    return content


def shorten(items: list[str]) -> str:
    """Return the first five names for a message; they may come from a file."""
    shown = [escape_controls(item[:LONGEST]) + ("..." if len(item) > LONGEST else "") for item in items[:LISTED]]
    return ", ".join(shown) + (", ..." if len(items) > LISTED else "")
