# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Banks of real masks as arrays, for bundles."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.masks.bank_mask import STORED_SIDE, BankMask
from anomalib_stage.synthesis.masks.templates.template import SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["BANK_PREFIXES", "COLUMNS", "pack_bank", "unpack_bank"]

FARTHEST = 100.0
"""Largest believable place or length of a mask, relative to the object's sides; angles are smaller."""

NOT_COLUMNS = {"cells", "template", "exemplar"}
COLUMNS = ("height", "width", *(field.name for field in fields(BankMask) if field.name not in NOT_COLUMNS))
"""Columns of the tensor ``prior.<defect>``, one row for each mask; ``mask_bank.<defect>`` holds the masks' packed bits,
``around.<defect>`` pictures of what surrounded them, ``exemplar.<defect>`` pictures of the defects."""

BANK_PREFIXES = ("mask_bank.", "prior.", "around.", "exemplar.")
"""Names of a bank's tensors begin with these."""


def pack_bank(bank: Mapping[str, Sequence[BankMask]]) -> dict[str, NDArray[np.uint8] | NDArray[np.float32]]:
    """Return arrays ``mask_bank.<defect>`` (uint8, packed bits), ``prior.<defect>`` (float32 rows of ``COLUMNS``).

    And, if they are kept for all masks of the defect, ``around.<defect>`` (uint8 ``(n, 48, 48)``) and
    ``exemplar.<defect>`` (uint8, the pixels of all pictures one after the other).
    """
    packed: dict[str, NDArray[np.uint8] | NDArray[np.float32]] = {}
    for defect, masks in bank.items():
        if not masks:
            continue
        rows = [[*mask.cells.shape, *(float(getattr(mask, name)) for name in COLUMNS[2:])] for mask in masks]
        packed[f"mask_bank.{defect}"] = np.concatenate([np.packbits(mask.cells) for mask in masks])
        packed[f"prior.{defect}"] = np.asarray(rows, dtype=np.float32)
        templates = [mask.template for mask in masks if mask.template is not None]
        if len(templates) == len(masks):
            packed[f"around.{defect}"] = np.stack(templates)
        exemplars = [mask.exemplar.ravel() for mask in masks if mask.exemplar is not None]
        if len(exemplars) == len(masks):
            packed[f"exemplar.{defect}"] = np.concatenate(exemplars)
    return packed


def unpack_bank(arrays: Mapping[str, NDArray[Any]]) -> dict[str, list[BankMask]]:
    """Read what :func:`pack_bank` wrote; arrays with other names are ignored.

    Raises:
        InputError: If a defect has only one of its two first arrays, or they do not fit each other.
    """
    names = sorted({name.partition(".")[2] for name in arrays if name.startswith(BANK_PREFIXES)})
    return {defect: _unpack(defect, *(arrays.get(prefix + defect) for prefix in BANK_PREFIXES)) for defect in names}


def _unpack(
    defect: str,
    bits: NDArray[Any] | None,
    prior: NDArray[Any] | None,
    template: NDArray[Any] | None,
    exemplar: NDArray[Any] | None,
) -> list[BankMask]:
    if bits is None or prior is None:
        msg = f"the bank of {defect!r} has only one of mask_bank.{defect} and prior.{defect}; both are needed"
        raise InputError(msg)
    counts, starts = _check_sizes(defect, bits, prior)
    _check_pictures(defect, template, exemplar, counts)
    masks, pixels = [], 3 * np.concatenate([[0], np.cumsum(counts)])
    for i, values in enumerate(prior.astype(np.float64)):
        shape = (int(values[0]), int(values[1]))
        cells = np.unpackbits(bits[starts[i] : starts[i + 1]].astype(np.uint8), count=int(counts[i])).reshape(shape) > 0
        named = dict(zip(COLUMNS[2:], values[2:].tolist(), strict=True))
        picture = None if template is None else template[i]
        own = None if exemplar is None else exemplar[pixels[i] : pixels[i + 1]].reshape(*shape, 3)
        masks.append(BankMask(cells, **{**named, "on_edge": named["on_edge"] > 0.5}, template=picture, exemplar=own))
    if not all(mask.cells.any() for mask in masks):
        msg = f"the bank of {defect!r} holds an empty mask"
        raise InputError(msg)
    return masks


def _check_sizes(defect: str, bits: NDArray[Any], prior: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of each mask's cells, and where its bits start and the last one's end."""
    sizes_fit = (
        bits.dtype == np.uint8
        and bits.ndim == 1
        and prior.ndim == 2
        and prior.shape[0] > 0
        and prior.shape[1] == len(COLUMNS)
        and bool(np.isfinite(prior.astype(np.float64)).all())
        and bool(((prior[:, :2] >= 1) & (prior[:, :2] <= STORED_SIDE) & (prior[:, :2] % 1 == 0)).all())
        and bool((np.abs(prior[:, 2:].astype(np.float64)) <= FARTHEST).all())
    )
    counts = (prior[:, 0] * prior[:, 1]).astype(np.int64) if sizes_fit else np.zeros(1, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(-(-counts // 8))])
    if not sizes_fit or int(starts[-1]) != len(bits):
        msg = (
            f"the bank of {defect!r} is malformed: mask_bank has shape {bits.shape}, prior {prior.shape}; prior needs "
            f"the columns {', '.join(COLUMNS)}, and mask_bank the bits of every mask"
        )
        raise InputError(msg)
    return counts, starts


def _check_pictures(
    defect: str, template: NDArray[Any] | None, exemplar: NDArray[Any] | None, counts: NDArray[np.int64]
) -> None:
    wanted = {"around": (template, (len(counts), SIDE, SIDE)), "exemplar": (exemplar, (3 * int(counts.sum()),))}
    for name, (found, shape) in wanted.items():
        if found is not None and (found.dtype != np.uint8 or found.shape != shape):
            msg = (
                f"the bank of {defect!r} is malformed: {name} is {found.dtype} of shape {found.shape}; must be uint8 "
                f"of shape {shape}, a picture for each mask"
            )
            raise InputError(msg)
