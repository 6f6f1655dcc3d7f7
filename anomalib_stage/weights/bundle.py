# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Weights bundles: one safetensors file with a validated manifest. Never pickle.

Everything is checked before a tensor is handed out: the header's length, its JSON, the manifest, the names, shapes,
dtypes and offsets that it promises (:mod:`anomalib_stage.weights.manifest_file`), then the digest and that all values
are finite. Each way a file can be wrong is one :class:`BundleError`.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from anomalib_stage.deprecated.arguments import accept_old_names, warn_old
from anomalib_stage.errors import BundleError
from anomalib_stage.weights.manifest_file import METADATA_KEY, compute_content_digest, dump_manifest, read_manifest
from anomalib_stage.weights.source import DEFAULT, resolve_source
from anomalib_stage.weights.stamp import STAMPED, stamp_manifest
from anomalib_stage.weights.tensor_file import check_finite, compute_digest, write_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from anomalib_stage.weights.manifest import BundleManifest, DefectSpec

__all__ = ["StageBundle"]

logger = logging.getLogger(__name__)


class StageBundle:
    """Weights of a synthesizer with the manifest that describes them.

    Args:
        manifest (BundleManifest): What the bundle is.
        tensors (Mapping[str, Tensor]): The weights, on the CPU, in the stored dtypes (see :meth:`floats`).
        path (Path | None): File that it was read from or last saved to.
    """

    def __init__(self, manifest: BundleManifest, tensors: Mapping[str, Tensor], *, path: Path | None = None) -> None:
        self.manifest = manifest
        self.tensors = dict(tensors)
        self.path = path

    @classmethod
    @accept_old_names
    def build(cls, tensors: Mapping[str, Tensor], *, defects: Iterable[DefectSpec], **fields: Any) -> StageBundle:  # noqa: ANN401
        """Make a bundle from weights; the table of tensors, the digest and the versions are filled in.

        Args:
            tensors (Mapping[str, Tensor]): Weights with prefixed names, such as ``denoiser.*`` and
                ``condition.<defect>``, of any shape, in the dtypes F32, F16, BF16, U8, I64 or BOOL. They are copied.
            defects (Iterable[DefectSpec]): Defects.
            **fields (Any): Further fields of :class:`BundleManifest` (``backbone``, ``denoiser``, ``schedule``, ...).

        Returns:
            StageBundle: The bundle, with the manifest that loading it from a file would give.

        Raises:
            BundleError: If a field is not valid, a tensor has a dtype that bundles do not hold, or is not finite.
        """
        stored = {
            name: tensors[name].detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name in sorted(tensors)
        }
        return cls(stamp_manifest(stored, defects=tuple(defects), **fields), stored)

    @classmethod
    def load(cls, source: str | Path = DEFAULT) -> StageBundle:
        """Read and validate a bundle.

        Args:
            source (str | Path): ``"default"`` for the bundle that ships with the package, or a local file.

        Returns:
            StageBundle: The bundle, its tensors on the CPU in the stored dtypes.

        Raises:
            BundleError: If the file is missing, damaged, or not what it says it is; names the file and the cause.
        """
        path = resolve_source(source)
        manifest = read_manifest(path)
        try:
            with safe_open(path, framework="pt") as stream:  # a view of the file: copied, so that the file may go
                tensors = {name: stream.get_tensor(name).clone() for name in sorted(manifest.tensors)}
        except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
            msg = f"{path}: the tensors cannot be read ({error}); get the file again"
            raise BundleError(msg) from error
        seen = compute_digest(tensors)
        if seen != manifest.digest:
            msg = (
                f"{path}: digest mismatch, the tensors have {seen[:12]}..., the manifest says "
                f"{manifest.digest[:12]}...; the file was damaged or changed, get it again"
            )
            raise BundleError(msg)
        check_finite(tensors, where=f"{path}: ")
        return cls(_check_content(manifest, path=path, packaged=source == DEFAULT), tensors, path=path)

    def save(self, path: str | Path) -> Path:
        """Write the bundle: to a temporary name beside it, then renamed, so that there is never half a file.

        The table of tensors, the digest and the versions are stamped anew. The same content written by the same
        versions gives the same bytes. Missing parent folders are made.

        Args:
            path (str | Path): File to write; an existing one is replaced.

        Returns:
            Path: The file.

        Raises:
            BundleError: If the content is not valid or the file cannot be written; an existing file is then untouched.
        """
        target = Path(path)
        stored = {name: self.tensors[name].detach().cpu().contiguous() for name in sorted(self.tensors)}
        manifest = stamp_manifest(stored, **self.manifest.model_dump(exclude=STAMPED))
        try:
            write_tensors(target, stored, metadata={METADATA_KEY: dump_manifest(manifest)})
        except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
            msg = f"{target}: cannot be written ({error}); choose a folder with space that you may write to"
            raise BundleError(msg) from error
        self.manifest, self.path = manifest, target
        return target

    @property
    def defects(self) -> tuple[str, ...]:
        """Names of the defects, in the manifest's order."""
        return tuple(defect.name for defect in self.manifest.defects)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Old name of :attr:`defects`."""
        warn_old("StageBundle.kinds", "StageBundle.defects")
        return self.defects

    @property
    def digest(self) -> str:
        """SHA-256 over all that pictures follow from, hexadecimal; see :func:`compute_content_digest`."""
        return self.manifest.content_digest or compute_content_digest(self.manifest)

    @property
    def legacy_digest(self) -> str:
        """SHA-256 over the tensors alone, which version 0.1.0 knew bundles by; see :func:`compute_digest`."""
        return self.manifest.digest

    def floats(self) -> dict[str, Tensor]:
        """Return the tensors, those stored in half precision (F16, BF16) as float32; the others are not copied."""
        half = (torch.float16, torch.bfloat16)
        return {name: tensor.float() if tensor.dtype in half else tensor for name, tensor in self.tensors.items()}

    def describe(self) -> list[tuple[str, str]]:
        """Return rows of name and value for people."""
        manifest = self.manifest
        values = sum(tensor.numel() for tensor in self.tensors.values())
        dtypes = ", ".join(sorted({spec.dtype for spec in manifest.tensors.values()}))
        rows = [
            ("file", str(self.path or "not saved")),
            ("backbone", manifest.backbone),
            ("parameters", f"{values:,} in {len(self.tensors)} tensors ({dtypes})"),
            ("defects", ", ".join(self.defects)),
            ("region size", f"{manifest.region_size} px"),
            ("schedule", f"{manifest.schedule.get('beta_schedule')}, {manifest.schedule.get('prediction_type')}"),
            ("base", manifest.base_digest or "none"),
            ("digest", self.digest),
            ("digest of the tensors", self.legacy_digest),
        ]
        rows += [(f"training: {name}", str(value)) for name, value in manifest.training.items() if name != "pictures"]
        return rows + [(f"version: {name}", value) for name, value in manifest.versions.items()]


def _check_content(manifest: BundleManifest, *, path: Path, packaged: bool) -> BundleManifest:
    """Compare the manifest with its own digest; that of a file of version 0.1.0, which has none, is computed."""
    seen = compute_content_digest(manifest)
    if manifest.content_digest not in {None, seen}:
        msg = (
            f"{path}: digest mismatch, the manifest has {seen[:12]}... and says {manifest.content_digest[:12]}...; the "
            "file was damaged or changed, get it again"
        )
        raise BundleError(msg)
    if manifest.content_digest is None and not packaged:
        _say_old(path)
    return manifest.model_copy(update={"content_digest": seen})


@cache
def _say_old(path: Path) -> None:
    """Say once that nothing in a file tells whether its manifest was changed."""
    logger.warning(
        "%s: written by version 0.1.0, whose digest covers the tensors alone; its digest is computed anew over all "
        "that decides pictures. Save it again to store that: StageBundle.load(file).save(file)",
        path,
    )
