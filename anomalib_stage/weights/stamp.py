# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The stamp of a bundle: the parts of its manifest that follow from its tensors and from the installation."""

from __future__ import annotations

import contextlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.manifest import BundleManifest, TensorSpec
from anomalib_stage.weights.manifest_file import compute_content_digest, dump_manifest, list_complaints
from anomalib_stage.weights.tensor_file import DTYPES, check_finite, compute_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["STAMPED", "stamp_manifest"]


PACKAGES = ("anomalib-stage", "torch", "diffusers", "safetensors")

STAMPED = {"tensors", "digest", "content_digest", "versions"}
"""Fields of the manifest that follow from the tensors and the installation; never given by hand."""


def stamp_manifest(tensors: Mapping[str, Tensor], **fields: Any) -> BundleManifest:  # noqa: ANN401
    """Return the manifest of contiguous CPU tensors, as it reads back from JSON (tuples are lists, keys sorted)."""
    strange = sorted(name for name, tensor in tensors.items() if tensor.dtype not in DTYPES)
    if strange:
        seen, allowed = tensors[strange[0]].dtype, ", ".join(str(dtype) for dtype in DTYPES)
        msg = f"tensor {strange[0]} has dtype {seen}; a bundle holds {allowed}: convert it"
        raise BundleError(msg)
    check_finite(tensors, where="the bundle would not be valid: ")
    table = {name: TensorSpec(shape=tuple(t.shape), dtype=DTYPES[t.dtype]) for name, t in tensors.items()}
    try:
        manifest = BundleManifest(tensors=table, digest=compute_digest(tensors), versions=_list_versions(), **fields)
        manifest = BundleManifest.model_validate(json.loads(dump_manifest(manifest)))
        return manifest.model_copy(update={"content_digest": compute_content_digest(manifest)})
    except ValidationError as error:
        msg = f"the bundle would not be valid: {list_complaints(error)}"
        raise BundleError(msg) from error
    except (TypeError, ValueError, RecursionError) as error:
        msg = (
            f"the bundle would not be valid: a field of the manifest holds what JSON cannot ({error}); use plain values"
        )
        raise BundleError(msg) from error


def _list_versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # such as this package, run from its source tree
            found[package] = version(package)
    return found
