# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Outside its mask a pair is what anomalib reads from the source, in every format; deeper files keep their values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from anomalib.data.utils import read_image as read_as_host

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.files.decoding import decode_stored
from anomalib_stage.files.pixels import encode_png, reduce_to_eight_bit
from anomalib_stage.pregeneration.output.manifest import read_manifest
from tests.files.pictures import DEEP, EIGHT_BIT, draw_surface, write_picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = [  # anomalib's reader leaves files of several pages open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


SHADED = [kind for kind in EIGHT_BIT if kind != "PNG 1 bit"]
"""Formats that can stand together: among others, those with two levels are taken for masks."""


def stored(path: Path) -> NDArray[Any]:
    return decode_stored(path.read_bytes(), path).pixels


def outside(out: Path, mask: str | None) -> NDArray[np.bool_]:
    assert mask is not None
    return np.asarray(stored(out / mask) == 0)


@pytest.mark.parametrize("layout", ["folder", "mvtec"])
def test_outside_the_mask_anomalib_reads_in_the_pair_what_it_reads_in_the_source(
    run: Any, tmp_path: Path, layout: str
) -> None:
    data = tmp_path / "data"
    for number, kind in enumerate(SHADED):
        write_picture(data / f"{number:02d}", kind, draw_surface(number))
    run(data=data, count=len(SHADED), layout=layout, min_visibility=0.0)
    records = read_manifest(tmp_path / "out")
    assert len(records) == len(SHADED)
    for record, kind in zip(records, SHADED, strict=True):
        assert record.image is not None
        source, pair = read_as_host(data / record.source), read_as_host(tmp_path / "out" / record.image)
        clean = outside(tmp_path / "out", record.mask)
        assert np.array_equal(source[clean], pair[clean]), kind
        assert not np.array_equal(source, pair), kind
        before, after = stored(data / record.source), stored(tmp_path / "out" / record.image)
        assert before.shape == after.shape, kind  # no channel is lost or gained
        if before.ndim == 3 and before.shape[2] in (2, 4):
            assert np.array_equal(before[..., -1], after[..., -1]), kind


def test_a_set_of_1_bit_is_painted_in_grey(run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_picture(tmp_path / "data" / "a", "PNG 1 bit", draw_surface(3))
    run(data=tmp_path / "data", count=1)
    (record,) = read_manifest(tmp_path / "out")
    clean, pair = outside(tmp_path / "out", record.mask), tmp_path / "out" / str(record.image)
    assert np.array_equal(read_as_host(path)[clean], read_as_host(pair)[clean])
    assert "are these masks?" in caplog.text


def test_deeper_files_keep_their_values_and_painted_ones_stay_in_the_range_of_the_set(run: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    kinds = [kind for kind in DEEP if "16 bit" not in kind]
    for number, kind in enumerate(kinds * 3):
        write_picture(data / f"{number:02d}", kind, draw_surface(number))
    run(data=data, count=3 * len(kinds), min_visibility=0.0)
    assert json.loads((tmp_path / "out" / "job.json").read_text())["white_level"] == 4095
    brightest = 0
    for record in read_manifest(tmp_path / "out"):
        assert record.image is not None
        before, after = stored(data / record.source), stored(tmp_path / "out" / record.image)
        clean = outside(tmp_path / "out", record.mask)
        assert after.dtype == np.uint16
        assert np.array_equal(before[clean], after[clean])
        assert record.mean_change > 0
        brightest = max(brightest, int(after.max()))
    assert brightest <= 4095


@pytest.mark.parametrize("kind", DEEP)
def test_every_depth_keeps_its_values_outside_the_mask(run: Any, tmp_path: Path, kind: str) -> None:
    path = write_picture(tmp_path / "data" / "a", kind, draw_surface(7))
    run(data=tmp_path / "data", count=1, min_visibility=0.0)
    (record,) = read_manifest(tmp_path / "out")
    before, after = stored(path), stored(tmp_path / "out" / str(record.image))
    clean = outside(tmp_path / "out", record.mask)
    assert before.shape == after.shape
    assert np.array_equal(before[clean], after[clean])


def test_exports_in_8_bit_use_the_range_of_the_set(run: Any, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "data" / "a", "TIFF 12 bit in 16", draw_surface(8))
    run(data=tmp_path / "data", count=1, layout="mvtec", min_visibility=0.0)
    (record,) = read_manifest(tmp_path / "out")
    after, clean = stored(tmp_path / "out" / str(record.image)), outside(tmp_path / "out", record.mask)
    assert after.dtype == np.uint8
    assert np.array_equal(after[clean], reduce_to_eight_bit(stored(path), 4095)[clean])
    assert len(np.unique(after[clean])) > 60  # 4 of them are left where the container's range is taken


def test_the_range_is_that_of_the_whole_set_however_few_pairs_are_made(run: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, largest in (("a", 900), ("b", 4000)):
        pixels = draw_surface(9)[..., 0].astype(np.uint16)
        pixels[0, 0] = largest
        (data / f"{name}.png").write_bytes(encode_png(pixels))
    run(data=data, count=1)
    assert json.loads((tmp_path / "out" / "job.json").read_text())["white_level"] == 4095


def test_a_given_white_is_kept_and_another_one_is_another_job(run: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_picture(data / "a", "TIFF 10 bit in 16", draw_surface(10))
    run(data=data, count=1, white_level=4095)
    assert json.loads((tmp_path / "out" / "job.json").read_text())["white_level"] == 4095
    with pytest.raises(InputError, match="white_level"):
        run(data=data, count=1)
    with pytest.raises(DataError, match="above the white level of 100"):
        run(data=data, count=1, white_level=100, out=tmp_path / "other")


def test_masks_and_defects_below_the_root_are_refused_before_anything_is_written(run: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("good/a", "good/b", "crack/c"):
        write_picture(data / name, "PNG RGB", draw_surface(11))
    cv2.imwrite(str(data / "mask.png"), np.eye(64, dtype=np.uint8) * 255)
    with pytest.raises(DataError, match=r"1 of 4 pictures are not good images .1 in crack"):
        run(data=data)
    cv2.imwrite(str(data / "good" / "b.png"), np.eye(64, dtype=np.uint8) * 255)
    with pytest.raises(DataError, match="1 of 2 pictures look like masks"):
        run(data=data / "good")
    assert not (tmp_path / "out").exists()


def test_an_orientation_tag_is_said_once(run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        write_picture(tmp_path / "data" / f"{number}", "JPEG EXIF", draw_surface(number))
    run(data=tmp_path / "data", count=3)
    said = [record.getMessage() for record in caplog.records if "EXIF" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("3 of 3 images have an EXIF orientation tag")
