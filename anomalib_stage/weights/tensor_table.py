# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The table of tensors in a file's header, compared with what the manifest promises. No torch here."""

from __future__ import annotations

import math
import reprlib
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.header import shorten

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib_stage.weights.manifest import BundleManifest

__all__ = ["check_offsets", "check_table"]


ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "I64": 8, "BOOL": 1}


def check_table(path: Path, header: dict[str, Any], manifest: BundleManifest) -> None:
    """Compare the tensors in the header with those the manifest promises."""
    missing, unknown = sorted(set(manifest.tensors) - set(header)), sorted(set(header) - set(manifest.tensors))
    for names, what in ((missing, "missing from the file"), (unknown, "not in the manifest")):
        if names:
            msg = f"{path}: {len(names)} tensors {what}: {shorten(names)}; get the file again"
            raise BundleError(msg)
    wrong = []
    for name, spec in sorted(manifest.tensors.items()):
        entry = header[name] if isinstance(header[name], dict) else {}
        dtype, shape = entry.get("dtype"), entry.get("shape")
        if (dtype, shape) != (spec.dtype, list(spec.shape)):
            wrong.append(f"{name} is {_show(dtype)} {_show(shape)}, the manifest says {spec.dtype} {list(spec.shape)}")
    if wrong:
        msg = f"{path}: {len(wrong)} tensors of another shape or dtype: {shorten(wrong)}; get the file again"
        raise BundleError(msg)


def check_offsets(path: Path, header: dict[str, Any], *, room: int) -> None:
    """Check that the tensors follow one another without gap or overlap and fill the file."""
    spans = []
    for name, entry in header.items():
        span = entry.get("data_offsets")
        if not (isinstance(span, list) and len(span) == 2 and all(type(edge) is int for edge in span)):
            seen = f"tensor {shorten([name])} has offsets {reprlib.repr(span)}"
            msg = f"{path}: {seen}, two integers are needed; get the file again"
            raise BundleError(msg)
        spans.append((span[0], span[1], name, math.prod(entry["shape"]) * ITEM_BYTES[entry["dtype"]]))
    end = 0
    for begin, stop, name, needed in sorted(spans):
        if begin != end or stop - begin != needed:
            seen = f"tensor {shorten([name])} has offsets {begin, stop}"
            msg = f"{path}: {seen}, {end, end + needed} is right; get the file again"
            raise BundleError(msg)
        end = stop
    if end != room:
        what = "truncated" if room < end else "longer than it should be"
        msg = f"{path}: {what}, {room} bytes of tensors where the header lists {end}; get the file again"
        raise BundleError(msg)


def _show(value: object) -> str:
    return value[:20] if isinstance(value, str) else reprlib.repr(value)
