# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Files of the published code: learned vectors, and the two adapters that were trained with them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import BundleError
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.latent.pickles import check_plain_tensors, read_pickle
from anomalib_stage.weights.tensor_file import check_finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["ADAPTERS", "EMBEDDINGS", "find_published_step", "read_adapter_state", "read_learned_vectors"]


EMBEDDINGS = "embeddings_gs"

ADAPTERS = {"aware": "fine_image", "only": "fine_mask"}
"""Branch to what the published code calls its adapter, and the file that holds it."""

COUNTER = "num_batches_tracked"
"""Ends the names of batch norm's counters; they change nothing, and may be absent."""


def find_published_step(folder: Path, step: int | None) -> int:
    """Return the step N of which all three files are there.

    Raises:
        BundleError: If there is none, or several and none was chosen.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; give the one with {EMBEDDINGS}-N.pt"
        raise BundleError(msg)
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        msg = f"{folder}: cannot be listed ({error.strerror or error}); check its permissions"
        raise BundleError(msg) from error
    patterns = [re.compile(rf"{name}-([0-9]{{1,18}})\.pt") for name in (EMBEDDINGS, *ADAPTERS.values())]
    found = [{int(match[1]) for name in names if (match := pattern.fullmatch(name))} for pattern in patterns]
    whole = sorted(set.intersection(*found))
    if step is not None and step not in whole:
        msg = f"{folder}: step {step} is not there with all three files, but {shorten([*map(str, whole)]) or 'none'}"
        raise BundleError(msg)
    if step is None and len(whole) != 1:
        seen = f"steps {shorten([*map(str, whole)])}: choose one with --step" if whole else "no step with all of them"
        msg = f"{folder}: {EMBEDDINGS}-N.pt, {' and '.join(f'{name}-N.pt' for name in ADAPTERS.values())}: {seen}"
        raise BundleError(msg)
    return whole[0] if step is None else step


def read_adapter_state(weights: Mapping[str, Tensor], *, path: Path) -> dict[str, Tensor]:
    """Translate a published adapter's weights by the key table: every name must be in it, and none may be missing.

    Args:
        weights (Mapping[str, Tensor]): Weights under their published names.
        path (Path): What messages call the file.

    Returns:
        dict[str, Tensor]: State of :class:`~anomalib_stage.synthesis.diffusion.adapter.MaskGuidanceAdapter`.

    Raises:
        BundleError: If a name is unknown or missing, or a shape is another.
    """
    expected = MaskGuidanceAdapter().state_dict()
    table = {name: name for name in expected}  # the published names are the adapter's own
    unknown = sorted(set(weights) - set(table))
    missing = sorted(name for name in set(table) - set(weights) if not name.endswith(COUNTER))
    for names, what in ((unknown, "unknown"), (missing, "missing")):
        if names:
            msg = f"{path}: {len(names)} {what} weights: {shorten(names)}; a published adapter has conv.0 to conv.15"
            raise BundleError(msg)
    state = {table[name]: tensor for name, tensor in weights.items()}
    wrong = [
        f"{name} {list(tensor.shape)}, {list(expected[name].shape)} is right"
        for name, tensor in state.items()
        if tensor.shape != expected[name].shape
    ]
    if wrong:
        msg = f"{path}: weights of another shape: {shorten(wrong)}"
        raise BundleError(msg)
    return {name: expected[name] for name in expected if name.endswith(COUNTER)} | state


def read_learned_vectors(path: Path, *, defects: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Read the learned vectors of an embeddings file.

    The published code makes a row for every name of its list, all alike, and trains one of them.

    Args:
        path (Path): ``embeddings_gs-N.pt``.
        defects (Sequence[str] | None): Names to read; None: those that differ from what most are.

    Returns:
        dict[str, Tensor]: Vectors ``(n, D)`` float32 of each name.

    Raises:
        BundleError: If it is not such a file, or there is no name to read.
    """
    content = read_pickle(path)
    rows = _read_rows(content, path)
    if defects is None:
        prints = {name: row.numpy().tobytes() for name, row in rows.items()}
        [(usual, count)] = Counter(prints.values()).most_common(1)
        chosen = list(rows) if count == 1 else [name for name in rows if prints[name] != usual]
    else:
        chosen = list(defects)
    strange = [name for name in chosen if name not in rows]
    if strange or not chosen:
        what = f"no vectors of {shorten(strange)}" if strange else "all names have the same vectors, none was trained"
        msg = f"{path}: {what}; its names are {shorten(sorted(rows))}: choose with --defects"
        raise BundleError(msg)
    return {name: rows[name] for name in chosen}


def _read_rows(content: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401 - what a pickle held
    entries = sorted(map(str, content)) if isinstance(content, dict) else [type(content).__name__]
    if entries != ["string_to_param", "string_to_token"]:
        msg = (
            f"{path}: holds {shorten([*map(str, entries)])}; an embeddings file has string_to_param and string_to_token"
        )
        raise BundleError(msg)
    try:
        vectors = dict(content["string_to_param"].items())
    except Exception as error:  # what stands for the ParameterDict may be anything
        msg = f"{path}: its string_to_param cannot be read ({error!r}); get the file again"
        raise BundleError(msg) from error
    check_plain_tensors(vectors, path=path)
    rows = {str(name): row.detach().float().contiguous() for name, row in vectors.items()}
    check_finite(rows, where=f"{path}: ")
    flat = [f"{name} {list(row.shape)}" for name, row in rows.items() if row.dim() != 2 or not len(row)]
    if flat or not rows:
        msg = f"{path}: vectors {shorten(flat) or 'none'}; each name has a matrix of vectors (n, D)"
        raise BundleError(msg)
    return rows
