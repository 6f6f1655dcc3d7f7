# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest in the header of a file, and whether the header bears it out. No torch here.

A safetensors file is eight bytes (length of the header, little-endian), a JSON header (names, shapes, dtypes, offsets,
and one dictionary of strings for the user), then the raw tensors without gaps.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
import stat
from typing import TYPE_CHECKING

from pydantic import ValidationError

from anomalib_stage.errors import BundleError, escape_controls
from anomalib_stage.weights.config_checks import check_nesting
from anomalib_stage.weights.header import read_header
from anomalib_stage.weights.latent_manifest import NETWORKS
from anomalib_stage.weights.manifest import SCHEMA_VERSION, BundleManifest
from anomalib_stage.weights.tensor_table import check_offsets, check_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["METADATA_KEY", "compute_content_digest", "dump_manifest", "list_complaints", "read_manifest"]


METADATA_KEY = "anomalib_stage"
"""Key of the safetensors metadata that holds the manifest as JSON."""

LISTED, LONGEST = 5, 300  # most complaints in one message, most characters of a part of one


DECIDES = {"backbone", "denoiser", "codec", "schedule", "region_size", "defects", "digest"}
"""Fields of the manifest that a picture follows from; ``digest`` stands for the tensors."""


def dump_manifest(manifest: BundleManifest) -> str:
    """Return the manifest as it is stored: JSON with sorted keys, so that the same content is the same text.

    Raises:
        ValueError: If a free field (such as ``training``) holds something that JSON cannot.
    """
    left_out = {"content_digest"} if manifest.content_digest is None else None
    return json.dumps(manifest.model_dump(mode="json", by_alias=True, exclude=left_out), sort_keys=True)


def compute_content_digest(manifest: BundleManifest) -> str:
    """Return the SHA-256 of all that pictures follow from: the tensors, and what the manifest says of how to use them.

    Hashed is JSON with sorted keys and without spaces of the entries ``backbone``, ``denoiser``, ``codec``,
    ``schedule``, ``region_size``, ``kinds`` and ``digest``, as they stand in the file; of a slim latent bundle also
    ``base_digest``. Entries that are null are left out. How it was trained and what wrote it change no picture and are
    not hashed.

    Args:
        manifest (BundleManifest): The manifest; its ``digest`` is that of its tensors.

    Returns:
        str: 64 hexadecimal digits.
    """
    slim = manifest.backbone == "latent" and not any(name.startswith(NETWORKS) for name in manifest.tensors)
    fields = DECIDES | {"base_digest"} if slim else DECIDES
    content = manifest.model_dump(mode="json", by_alias=True, include=fields, exclude_none=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def list_complaints(error: ValidationError) -> str:
    """Return what pydantic found wrong, in one line, at most five complaints with the values seen."""
    lines = []
    for item in error.errors()[:LISTED]:
        where = escape_controls(".".join(map(str, item["loc"]))[:LONGEST])
        seen = "" if not where or item["type"] == "missing" else f", got {reprlib.repr(item['input'])}"
        lines.append(f"{where or 'manifest'}: {escape_controls(item['msg'][:LONGEST])}{seen}")
    return "; ".join(lines)


def read_manifest(path: Path) -> BundleManifest:
    """Read a bundle's header and check it against its manifest; no tensor is read.

    Args:
        path (Path): A file.

    Returns:
        BundleManifest: The manifest. The file then holds just the tensors that it promises, without gap or overlap.

    Raises:
        BundleError: If the file is missing, unreadable, cut short, not safetensors, or not what its manifest says.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            msg = f"{path}: is a folder; give the .safetensors file in it"
            raise BundleError(msg)
        if not stat.S_ISREG(mode):
            msg = f"{path}: is not a regular file; give a .safetensors file"
            raise BundleError(msg)
        header, room = read_header(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"{path}: no such file; give a bundle file or 'default' (nothing is downloaded)"
        raise BundleError(msg) from error
    except (OSError, ValueError, MemoryError) as error:
        msg = f"{path}: cannot be read ({error}); check the file and its permissions"
        raise BundleError(msg) from error
    manifest = _parse_manifest(path, header.pop("__metadata__", None))
    check_table(path, header, manifest)
    check_offsets(path, header, room=room)
    return manifest


def _parse_manifest(path: Path, metadata: object) -> BundleManifest:
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        msg = f"{path}: safetensors without the {METADATA_KEY!r} manifest; give a bundle written by anomalib-stage"
        raise BundleError(msg)
    try:
        content = json.loads(text)
        check_nesting(content, what="it")
    except (ValueError, RecursionError, MemoryError) as error:
        msg = f"{path}: the manifest is not JSON, or not of a believable size ({error}); get the file again"
        raise BundleError(msg) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if type(version) is not int or version != SCHEMA_VERSION:  # first: fields of another version are not complaints
        seen = reprlib.repr(version)
        msg = f"{path}: schema version {seen} is not known, only {SCHEMA_VERSION} is; update anomalib-stage"
        raise BundleError(msg)
    try:
        return BundleManifest.model_validate(content)
    except ValidationError as error:
        msg = f"{path}: the manifest is not valid: {list_complaints(error)}; get the file again"
        raise BundleError(msg) from error
