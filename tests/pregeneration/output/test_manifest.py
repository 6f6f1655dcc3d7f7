# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anomalib_stage.errors import DataError
from anomalib_stage.pregeneration.output.manifest import MANIFEST_NAME, PairRecord, read_manifest

if TYPE_CHECKING:
    from pathlib import Path


def record(index: int, *, source: str = "a.png") -> PairRecord:
    return PairRecord(
        index=index,
        image=f"image/hole/{index}.png",
        mask=f"mask/hole/{index}.png",
        source=source,
        defect="hole",
        seed=2**62,
        base_seed=0,
        steps=20,
        bundle="a" * 64,
        mask_area=12,
        visibility=4.5,
        mean_change=3.25,
        image_sha256="b" * 64,
        mask_sha256="c" * 64,
    )


def write_manifest(folder: Path, records: list[PairRecord]) -> Path:
    path = folder / MANIFEST_NAME
    path.write_text("".join(record.model_dump_json() + "\n" for record in records), encoding="utf-8")
    return path


def test_records_come_back_equal(tmp_path: Path) -> None:
    write_manifest(tmp_path, [record(0), record(1, source="grün/ä b.png")])
    assert read_manifest(tmp_path) == [record(0), record(1, source="grün/ä b.png")]


def test_there_is_one_line_a_record(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, [record(0, source="line\u2028break\nin a name.png"), record(1)])
    assert path.read_bytes().count(b"\n") == 2
    assert len(read_manifest(tmp_path)) == 2


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{MANIFEST_NAME}: cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", '{"index": 1}', record(0).model_dump_json().replace("mask_area", "area")],
    ids=["blank", "not JSON", "not an object", "fields missing", "unknown field"],
)
def test_bad_line_is_named_by_number(tmp_path: Path, line: str) -> None:
    path = write_manifest(tmp_path, [record(0)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=f"{MANIFEST_NAME}: line 2 is not a pair"):
        read_manifest(tmp_path)
