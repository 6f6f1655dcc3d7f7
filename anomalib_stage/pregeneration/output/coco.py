# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``annotations.json``: the pairs in COCO's format, masks run-length encoded by pycocotools."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.files.decoding import decode_stored
from anomalib_stage.files.images import read_bytes
from anomalib_stage.pregeneration.output.entries import read_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anomalib_stage.pregeneration.output.manifest import PairRecord

__all__ = ["COCO_NAME", "check_coco", "coco_chunks"]

COCO_NAME = "annotations.json"


def check_coco() -> None:
    """Refuse COCO annotations where pycocotools is not installed.

    Raises:
        InputError: Says how to install it.
    """
    if find_spec("pycocotools") is None:
        msg = "--coco needs pycocotools, which is not installed; pip install 'anomalib-stage[coco]', or leave it out"
        raise InputError(msg)


def coco_chunks(out: Path, defects: Sequence[str]) -> Iterator[bytes]:
    """Yield the file piece by piece; one annotation for each pair, categories numbered from 1 in the order of defects.

    Args:
        out (Path): Folder with a merged manifest and whole files.
        defects (Sequence[str]): Defects of the job.

    Yields:
        bytes: Parts of one JSON text.
    """
    numbers = {defect: i for i, defect in enumerate(defects, start=1)}
    yield b'{"categories":' + _json([{"id": i, "name": defect} for defect, i in numbers.items()])
    for name, entry_of in (("images", _image), ("annotations", _annotation)):
        yield b',\n"' + name.encode() + b'":['
        before = b"\n"
        for entry in read_entries(out):
            if entry.record.mask is not None:
                yield before + _json(entry_of(entry.record, out, numbers))
                before = b",\n"
        yield b"]"
    yield b"}\n"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _image(record: PairRecord, out: Path, _: dict[str, int]) -> dict[str, Any]:
    height, width = _mask(record, out).shape
    return {"id": record.index + 1, "file_name": record.image, "height": height, "width": width}


def _annotation(record: PairRecord, out: Path, numbers: dict[str, int]) -> dict[str, Any]:
    from pycocotools import mask as rle

    mask = _mask(record, out)
    code = rle.encode(np.asfortranarray(mask))
    return {
        "id": record.index + 1,
        "image_id": record.index + 1,
        "category_id": numbers[record.defect],
        "segmentation": {"size": list(mask.shape), "counts": code["counts"].decode()},
        "area": record.mask_area,
        "bbox": [float(side) for side in cv2.boundingRect(mask)],
        "iscrowd": 0,
    }


def _mask(record: PairRecord, out: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    path = out / Path(record.mask or "")
    return (decode_stored(read_bytes(path), path).pixels > 0).astype(np.uint8)
