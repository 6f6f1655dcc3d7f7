# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a bundle is read from: the one that ships with the package, or a local file."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path

from anomalib_stage.errors import BundleError

__all__ = ["DEFAULT", "resolve_source"]


DEFAULT = "default"

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|[^\\/])|[\w-][\w.-]*/[\w-][\w.-]*$")
"""A URL, ``hf:name``, or ``owner/name``."""


def resolve_source(source: str | Path) -> Path:
    """Return the file that is meant.

    Raises:
        BundleError: If it is the default bundle and missing, or looks like an address: nothing is downloaded.
    """
    if source == DEFAULT:
        path = Path(str(resources.files("anomalib_stage.weights") / "default" / "stage-compact.safetensors"))
        if not path.is_file():
            msg = f"{path}: no such file, this installation lacks the default bundle; install it again, or give a file"
            raise BundleError(msg)
        return path
    path = Path(source)
    if isinstance(source, str) and path.suffix != ".safetensors" and REMOTE.match(source) and not os.path.lexists(path):
        msg = f"{source}: no such file; if it is a hub id or an address: nothing is downloaded here, give a local file"
        raise BundleError(msg)
    return path
