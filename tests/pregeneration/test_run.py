# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import hashlib
import json
import logging
import random
import re
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.errors import BundleError, DataError, DeviceError, InputError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.images import read_image
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.pregeneration.output.manifest import read_manifest
from anomalib_stage.pregeneration.prepare import prepare
from anomalib_stage.settings import GateSettings, SamplerSettings, SynthesisSettings
from tests.conftest import tree

if TYPE_CHECKING:
    from pathlib import Path


OWN = {"job.json", "manifest.jsonl", "samples.csv", "SHA256SUMS"}
"""Files beside the pairs."""


def load_mask(path: Path) -> np.ndarray:
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.ndim == 2
    assert set(np.unique(stored)) <= {0, 255}
    return stored == 255


def test_folder_layout_holds_a_mask_for_every_image_and_nothing_else(run: Any, good_folder: Path) -> None:
    result = run()
    out = good_folder.parent / "out"
    assert result["pairs"] == 7
    assert sum(result["defects"].values()) == 7
    files = set(tree(out)) - OWN
    images = {name for name in files if name.startswith("image/")}
    assert len(images) == 7
    assert files - images == {name.replace("image/", "mask/", 1) for name in images}


def test_two_runs_are_equal_byte_for_byte(run: Any, tmp_path: Path) -> None:
    run(out=tmp_path / "first")
    torch.rand(3)
    random.random()
    run(out=tmp_path / "second")
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_the_good_folder_may_lie_elsewhere(run: Any, good_folder: Path, tmp_path: Path) -> None:
    run(out=tmp_path / "first")
    moved = good_folder.rename(tmp_path / "moved")
    run(data=moved, out=tmp_path / "second")
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_another_seed_gives_other_pairs(run: Any, tmp_path: Path) -> None:
    run(out=tmp_path / "first")
    run(out=tmp_path / "second", seed=1)
    assert not set(tree(tmp_path / "first").values()) & set(tree(tmp_path / "second").values())


def test_batch_size_changes_no_mask_and_hardly_a_pixel(run: Any, tmp_path: Path) -> None:
    run(out=tmp_path / "first", batch_size=1)
    run(out=tmp_path / "second", batch_size=7)
    for one, other in zip(read_manifest(tmp_path / "first"), read_manifest(tmp_path / "second"), strict=True):
        assert (one.image, one.seed, one.mask_sha256) == (other.image, other.seed, other.mask_sha256)
        difference = np.abs(
            read_image(tmp_path / "first" / one.image).astype(int) - read_image(tmp_path / "second" / other.image)
        )
        assert difference.max() <= 1


def test_outside_the_mask_the_written_image_is_the_source_to_the_bit(run: Any, good_folder: Path) -> None:
    run()
    out = good_folder.parent / "out"
    for record in read_manifest(out):
        before, after = read_image(good_folder / record.source), read_image(out / record.image)
        mask = load_mask(out / record.mask)
        assert mask.shape == before.shape[:2]
        assert np.array_equal(before[~mask], after[~mask])
        assert (before[mask] != after[mask]).any()


def test_manifest_describes_the_files_and_paints_the_pair_again(
    run: Any, good_folder: Path, tiny_bundle_path: Path, tiny_bundle: Any
) -> None:
    run(seed=5, count=3)
    out = good_folder.parent / "out"
    settings = SynthesisSettings(sampler=SamplerSettings(steps=4), gate=GateSettings(min_visibility=0.0))
    synthesizer = StageSynthesizer.from_pretrained(tiny_bundle_path, device="cpu", synthesis=settings)
    for index, record in enumerate(read_manifest(out)):
        mask = load_mask(out / record.mask)
        assert (record.index, record.base_seed, record.steps) == (index, 5, 4)
        assert record.bundle == tiny_bundle.digest
        assert record.mask_area == mask.sum()
        assert record.image_sha256 == hashlib.sha256((out / record.image).read_bytes()).hexdigest()
        assert record.mask_sha256 == hashlib.sha256((out / record.mask).read_bytes()).hexdigest()
        clean = torch.from_numpy(read_image(good_folder / record.source)).permute(2, 0, 1)[None].float() / 255
        pair = synthesizer(clean, defects=record.defect, seeds=[record.seed])
        assert np.array_equal(pair.mask[0, 0].numpy(), mask)
        again = (pair.image[0] * 255).round().permute(1, 2, 0).numpy()
        assert np.abs(again - read_image(out / record.image)).max() <= 1


def test_manifest_holds_no_absolute_path(run: Any, good_folder: Path) -> None:
    run()
    assert str(good_folder.parent) not in (good_folder.parent / "out" / "manifest.jsonl").read_text()


def test_defects_are_painted_in_any_order_given(run: Any, tmp_path: Path) -> None:
    result = run(out=tmp_path / "first", defects=["stain", "hole"])
    run(out=tmp_path / "second", defects=["hole", "stain"])
    assert set(result["defects"]) == {"hole", "stain"}
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_given_masks_are_painted_as_they_are(run: Any, good_folder: Path, tmp_path: Path) -> None:
    (good_folder / "more" / "c.png").unlink()  # one size left
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 30:33] = mask[0, 0] = 255
    write_file(tmp_path / "masks" / "deep" / "m.png", encode_png(mask))
    run(masks=tmp_path / "masks", count=3)
    for record in read_manifest(tmp_path / "out"):
        assert record.given_mask == "deep/m.png"
        assert np.array_equal(load_mask(tmp_path / "out" / record.mask), mask > 0)


def mask_at(row: int) -> bytes:
    mask = np.zeros((48, 64), np.uint8)
    mask[row : row + 6, 30:50] = 255
    return encode_png(mask)


def test_given_masks_go_to_the_images_of_their_names(run: Any, good_folder: Path, tmp_path: Path) -> None:
    (good_folder / "more" / "c.png").unlink()
    (good_folder / "a.png").rename(good_folder / "9.png")
    (good_folder / "b.png").rename(good_folder / "10.png")
    for row, number in enumerate((9, 10)):
        write_file(tmp_path / "masks" / f"{number}_mask.png", mask_at(10 * row))
    run(masks=tmp_path / "masks", count=4)
    records = read_manifest(tmp_path / "out")
    assert {(record.source, record.given_mask) for record in records} == {
        ("9.png", "9_mask.png"),
        ("10.png", "10_mask.png"),
    }


def test_a_job_with_masks_in_another_order_is_refused_with_the_reason(
    run: Any, good_folder: Path, tmp_path: Path
) -> None:
    (good_folder / "more" / "c.png").unlink()
    for row, number in enumerate((1, 2, 10)):
        write_file(tmp_path / "masks" / f"m{number}.png", mask_at(10 * row))
    run(masks=tmp_path / "masks", count=3)
    records = read_manifest(tmp_path / "out")
    assert [record.given_mask for record in records] == ["m1.png", "m2.png", "m10.png"]
    job = json.loads((tmp_path / "out" / "job.json").read_text())
    as_text = [
        f"{hashlib.sha256((tmp_path / 'masks' / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("m1.png", "m10.png", "m2.png")
    ]
    job["masks"]["sha256"] = hashlib.sha256("".join(as_text).encode()).hexdigest()  # what 0.1.0 wrote
    (tmp_path / "out" / "job.json").write_text(json.dumps(job))
    with pytest.raises(InputError, match=r"masks\.sha256 .*version 0\.1\.0 used them in turn in the order 1, 10, 2"):
        run(masks=tmp_path / "masks", count=3)


def stored(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    "source",
    [
        np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8),
        np.random.default_rng(0).integers(0, 256, (48, 64, 4), np.uint8),
        np.random.default_rng(0).integers(0, 65536, (48, 64), np.uint16),
        np.random.default_rng(0).integers(0, 65536, (48, 64, 3), np.uint16),
    ],
    ids=["grey", "RGBA", "grey 16 bit", "RGB 16 bit"],
)
def test_depth_and_channels_of_the_source_are_kept(
    source: np.ndarray, run: Any, good_folder: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(good_folder / "a.png"), source)
    run(count=1)
    (record,) = read_manifest(tmp_path / "out")
    after, mask = stored(tmp_path / "out" / record.image), load_mask(tmp_path / "out" / record.mask)
    assert (after.dtype, after.shape) == (source.dtype, source.shape)
    assert np.array_equal(after[~mask], source[~mask])
    assert (after[mask] != source[mask]).any()
    if source.ndim == 3 and source.shape[2] == 4:
        assert np.array_equal(after[..., 3], source[..., 3])


def test_the_mvtec_layout_holds_eight_bit_and_says_so_before_painting(
    run: Any, good_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = read_image(good_folder / "a.png")[..., 0]
    cv2.imwrite(str(good_folder / "a.png"), pixels.astype(np.uint16) * 257)
    with caplog.at_level(logging.INFO, logger="anomalib_stage"):
        run(count=3, layout="mvtec")
    assert [record.getMessage() for record in caplog.records] == [
        "1 images are deeper than 8 bit: white is 65535, the range of a sensor that holds their largest value, "
        f"{int(pixels.max()) * 257}",
        "16 bit reduced to 8 in 1 of 3 images: anomalib reads 16-bit grey as white",
    ]
    record = read_manifest(tmp_path / "out")[0]
    after, mask = stored(tmp_path / "out" / record.image), load_mask(tmp_path / "out" / record.mask)
    assert np.array_equal(after[~mask], pixels[~mask])
    assert np.array_equal(stored(tmp_path / "out" / "test" / "good" / "000000_a.png"), pixels)


def test_samples_are_a_table(run: Any, tmp_path: Path) -> None:
    run(count=3)
    with (tmp_path / "out" / "samples.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    records = read_manifest(tmp_path / "out")
    assert [(row["image"], row["mask"], row["kind"], row["label"], row["source"]) for row in rows] == [
        (record.image, record.mask, record.defect, "1", record.source) for record in records
    ]


def test_the_table_of_the_mvtec_layout_holds_good_images(run: Any, tmp_path: Path) -> None:
    run(count=3, layout="mvtec")
    with (tmp_path / "out" / "samples.csv").open(newline="") as stream:
        good = [row for row in csv.DictReader(stream) if row["label"] == "0"]
    assert [(row["source"], row["mask"], row["kind"]) for row in good] == [
        ("a.png", "", "good"),
        ("b.png", "", "good"),
        ("more/c.png", "", "good"),
    ]
    assert all((tmp_path / "out" / row["image"]).is_file() for row in good)


def test_other_files_have_check_sums(run: Any, tmp_path: Path) -> None:
    run(count=3, layout="mvtec")
    lines = (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()
    named = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    assert {"job.json", "manifest.jsonl", "samples.csv", "test/good/000000_a.png"} <= named.keys()
    for name, digest in named.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
def test_coco_annotations_decode_to_the_masks(run: Any, tmp_path: Path) -> None:
    rle = pytest.importorskip("pycocotools.mask")
    run(count=5, coco=True)
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    records = read_manifest(tmp_path / "out")
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert [image["file_name"] for image in coco["images"]] == [record.image for record in records]
    for record, image, annotation in zip(records, coco["images"], coco["annotations"], strict=True):
        mask = load_mask(tmp_path / "out" / record.mask)
        assert (image["height"], image["width"]) == mask.shape
        assert annotation["image_id"] == image["id"]
        assert names[annotation["category_id"]] == record.defect
        assert np.array_equal(rle.decode(annotation["segmentation"]) > 0, mask)
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == rle.toBbox(annotation["segmentation"]).tolist()


def test_coco_annotations_can_be_added_later(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    run(count=3)
    assert run(count=3, coco=True)["painted"] == 0
    assert "annotations.json" in (tmp_path / "out" / "SHA256SUMS").read_text()


def test_the_summary_says_how_busy_the_synthesizer_was(run: Any) -> None:
    first, again = run(), run()
    assert first["pairs_per_second"] > 0
    assert 0 < first["busy"] <= 1
    assert (first["painted"], again["painted"], again["pairs"]) == (7, 0, 7)


def test_skipping_an_unreadable_image_still_writes_every_pair(run: Any, good_folder: Path, tmp_path: Path) -> None:
    (good_folder / "b.png").write_bytes(b"broken")
    result = run(on_unreadable="skip")
    assert (result["pairs"], result["skipped"]) == (7, 1)
    assert {record.source for record in read_manifest(tmp_path / "out")} == {"a.png", "more/c.png"}


def test_progress_reaches_the_end(run: Any) -> None:
    seen: list[tuple[int, int]] = []
    run(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_anyone_may_paint_batches_of_the_plan(
    run: Any, good_folder: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """What the recipe for Ray does."""
    options = {
        "count": 7,
        "weights": str(tiny_bundle_path),
        "sampling_steps": 4,
        "batch_size": 2,
        "min_visibility": 0.0,
    }
    jobs = [prepare(data=good_folder, out=tmp_path / "shared", device="cpu", **options) for _ in range(3)]
    jobs[0].start()
    missing = jobs[0].find_missing()
    for job, name, numbers in zip(jobs[1:], ("x", "y"), (missing[::2], missing[1::2]), strict=True):
        assert jobs[0].finish()["remaining"]
        job.work(numbers, shard=f"ray-{name}")
    assert jobs[0].finish()["remaining"] == 0
    run(out=tmp_path / "alone")
    assert tree(tmp_path / "shared") == tree(tmp_path / "alone")


def test_a_source_that_changes_meanwhile_is_named(run: Any, good_folder: Path, tmp_path: Path) -> None:
    def change(done: int, total: int) -> None:
        write_file(good_folder / "more" / "c.png", encode_png(np.zeros((56, 40, 3), np.uint8)))

    before = (good_folder / "more" / "c.png").read_bytes()
    with pytest.raises(DataError, match="c.png: changed while .*put the old file back.*what is finished is kept"):
        run(progress=change)
    with pytest.raises(InputError, match="holds another job.*sources.sha256"):
        run()
    write_file(good_folder / "more" / "c.png", before)
    assert run()["remaining"] == 0


def break_image(folder: Path) -> dict[str, Any]:
    (folder / "more" / "c.png").write_bytes(b"broken")
    return {}


def small_image(folder: Path) -> dict[str, Any]:
    write_file(folder / "z.png", encode_png(np.zeros((20, 40, 3), np.uint8)))
    return {}


def test_given_masks_that_look_inverted_are_said(run: Any, good_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.full((48, 64), 255, np.uint8)
    pixels[10:20, 10:20] = 0
    run(**masks(good_folder, pixels), count=2)
    assert "1 masks mark more than half of the picture" in caplog.text


def masks(folder: Path, pixels: np.ndarray) -> dict[str, Any]:
    write_file(folder.parent / "masks" / "m.png", encode_png(pixels))
    return {"masks": folder.parent / "masks"}


def corrupted(folder: Path, weights: Path) -> dict[str, Any]:
    data = bytearray(weights.read_bytes())
    data[-10] ^= 1
    write_file(folder.parent / "bad.safetensors", bytes(data))
    return {"weights": str(folder.parent / "bad.safetensors")}


def empty(folder: Path) -> dict[str, Any]:
    (folder.parent / "nothing").mkdir()
    return {"data": folder.parent / "nothing"}


BAD = {
    "folder missing": (lambda f, w: {"data": f / "nope"}, DataError, "nope: no such folder"),
    "folder empty": (lambda f, w: empty(f), DataError, "nothing: no image in it"),
    "image unreadable": (lambda f, w: break_image(f), DataError, "c.png: not a readable image"),
    "image too small": (lambda f, w: small_image(f), DataError, "z.png: 40x20 px; at least 32"),
    "count 0": (lambda f, w: {"count": 0}, InputError, "--count is 0"),
    "batch size 0": (lambda f, w: {"batch_size": 0}, InputError, "--batch-size 0"),
    "steps 3": (lambda f, w: {"sampling_steps": 3}, InputError, "steps: .*4.*got 3"),
    "defect unknown": (lambda f, w: {"defects": ["hole", "rust"]}, InputError, "'rust' .*scratch, hole, stain$"),
    "defect good": (lambda f, w: {"defects": ["good"]}, InputError, "'good' is not a defect"),
    "defects empty": (lambda f, w: {"defects": []}, InputError, "--defects is empty"),
    "weights missing": (lambda f, w: {"weights": str(f / "w.safetensors")}, BundleError, "w.safetensors: no such file"),
    "weights damaged": (lambda f, w: corrupted(f, w), BundleError, "bad.safetensors: .*digest"),
    "device unknown": (lambda f, w: {"device": "warp"}, DeviceError, "'warp' is not a device"),
    "mask of other size": (
        lambda f, w: masks(f, np.full((48, 65), 255, np.uint8)),
        DataError,
        "m.png: mask is 65x48 px, .*a.png is 64x48 px",
    ),
    "mask empty": (lambda f, w: masks(f, np.zeros((48, 64), np.uint8)), DataError, "m.png: mask is empty"),
    "masks folder missing": (lambda f, w: {"masks": f.parent / "nope"}, DataError, "nope: no such folder"),
    "masks among the images": (lambda f, w: {"masks": f / "more"}, InputError, "--masks .* lies inside"),
    "out among the images": (lambda f, w: {"out": f / "out"}, InputError, "--out .* lies inside"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    name: str, run: Any, good_folder: Path, tiny_bundle_path: Path
) -> None:
    prepare, error, sentence = BAD[name]
    changed = prepare(good_folder, tiny_bundle_path)
    with pytest.raises(error) as raised:
        run(**changed)
    assert re.search(sentence, str(raised.value))
    assert "\n" not in str(raised.value)
    assert not (good_folder.parent / "out").exists()
    assert not (good_folder / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_refused(run: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="'cuda' asked for, but this machine has 0 CUDA devices"):
        run(device="cuda")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", ["file in it", "file itself"])
def test_out_that_is_not_empty_is_refused_and_kept(run: Any, tmp_path: Path, what: str) -> None:
    target = tmp_path / "out" / "mine.txt" if what == "file in it" else tmp_path / "out"
    write_file(target, b"mine")
    with pytest.raises(InputError, match="--out .* is not an empty folder"):
        run()
    assert target.read_bytes() == b"mine"


def test_an_empty_out_folder_is_used(run: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run(count=1)["pairs"] == 1


@pytest.mark.parametrize("images", [1, 2])
def test_anomalib_reads_the_mvtec_layout(run: Any, good_folder: Path, tmp_path: Path, images: int) -> None:
    from anomalib.data import MVTecAD

    for name in ("more/c.png", "b.png")[: 3 - images]:
        (good_folder / name).unlink()
    run(out=tmp_path / "set" / "tile", layout="mvtec", count=9)
    module = MVTecAD(root=tmp_path / "set", category="tile", train_batch_size=2, eval_batch_size=4, num_workers=0)
    module.setup()
    assert not module.train_data.samples.label_index.any()

    records = {record.image: record for record in read_manifest(tmp_path / "set" / "tile")}
    anomalous = 0
    for batch in module.test_dataloader():
        assert batch.gt_mask.flatten(1).any(1).equal(batch.gt_label.bool())
        for path, mask in zip(batch.image_path, batch.gt_mask, strict=True):
            record = records.get("/".join(path.split("/")[-3:]))
            anomalous += record is not None
            assert int(mask.sum()) == (record.mask_area if record else 0)
    assert anomalous == 9


def test_a_pair_in_which_nothing_would_be_seen_is_counted_and_not_written(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(out=out, count=4, min_visibility=1e9)
    assert (result["pairs"], result["rejected"]) == (0, 4)
    assert [record.image for record in read_manifest(out)] == [None] * 4
    assert {path.name for path in out.rglob("*") if path.is_file()} == OWN


def test_what_is_written_is_as_visible_as_asked_for(run: Any, tmp_path: Path) -> None:
    run(out=tmp_path / "all", count=8)
    scores = [record.visibility for record in read_manifest(tmp_path / "all")]
    bar = sorted(scores)[4]
    run(out=tmp_path / "some", count=8, min_visibility=bar)
    written = [record for record in read_manifest(tmp_path / "some") if record.image]
    assert written
    assert all(record.visibility >= round(bar, 3) for record in written)
