# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of foregrounds: each image has its own mask, of the size of its file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from anomalib_stage.errors import DataError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.callback.foreground_files import ForegroundFolder
from tests.plugin.conftest import MODELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (32, 24)


def draw(rows: slice, value: int = 255) -> NDArray[np.uint8]:
    mask = np.zeros(SIZE, np.uint8)
    mask[rows] = value
    return mask


def write(path: Path, pixels: NDArray[np.uint8]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return str(path)


def write_image(path: Path) -> str:
    return write(path, np.full((*SIZE, 3), 90, np.uint8))


def marked_rows(masks: list[torch.Tensor]) -> list[list[int]]:
    return [mask.any(dim=1).nonzero().flatten().tolist() for mask in masks]


def test_masks_follow_the_batch_to_its_size(tmp_path: Path) -> None:
    images = [write_image(tmp_path / "data" / name) for name in ("a.jpg", "b.bmp")]
    write(tmp_path / "masks" / "a.png", draw(slice(16, None)))
    write(tmp_path / "masks" / "b_mask.png", draw(slice(None, 16)))
    found = ForegroundFolder(tmp_path / "masks").read(images, size=(64, 48))
    assert torch.equal(found[0][:, 0], torch.arange(64) >= 32)
    assert torch.equal(found[1][:, 0], torch.arange(64) < 32)


def test_each_line_has_its_own_masks(tmp_path: Path) -> None:
    images = [write_image(tmp_path / "data" / line / "good" / "000.png") for line in ("lineA", "lineB", "lineC")]
    write(tmp_path / "masks" / "lineA" / "good" / "000.png", draw(slice(0, 1)))
    write(tmp_path / "masks" / "lineB" / "good" / "000_mask.tif", draw(slice(1, 2)))
    write(tmp_path / "masks" / "good" / "000.png", draw(slice(2, 3)))
    masks = ForegroundFolder(tmp_path / "masks")
    masks.learn(images)
    assert marked_rows(masks.read(images, size=SIZE)) == [[0], [1], [2]]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".pgm", ".ppm"])
def test_every_format_of_the_host_is_read(tmp_path: Path, suffix: str) -> None:
    image = write_image(tmp_path / "a.png")
    pixels = draw(slice(8, 16))
    write(tmp_path / "masks" / f"a{suffix}", np.dstack([pixels] * 3) if suffix in {".ppm", ".webp"} else pixels)
    (rows,) = marked_rows(ForegroundFolder(tmp_path / "masks").read([image], size=SIZE))
    assert set(range(8, 16)) <= set(rows) <= set(range(6, 18))  # JPEG and WebP blur the edge


@pytest.mark.parametrize("value", [1, 2, 100, 255])
@pytest.mark.parametrize("channel", [None, 0, 1, 2])
def test_any_value_of_any_channel_marks_the_object(tmp_path: Path, value: int, channel: int | None) -> None:
    image, pixels = write_image(tmp_path / "a.png"), draw(slice(8, 16), value)
    if channel is not None:
        pixels = np.dstack([pixels * (i == channel) for i in range(3)] + [np.full(SIZE, 255, np.uint8)])
    write(tmp_path / "masks" / "a.png", pixels)
    assert marked_rows(ForegroundFolder(tmp_path / "masks").read([image], size=SIZE)) == [list(range(8, 16))]


def test_two_images_never_share_a_mask(tmp_path: Path) -> None:
    images = [write_image(tmp_path / "data" / name) for name in ("000.png", "000.bmp")]
    write(tmp_path / "masks" / "000.png", draw(slice(8, 16)))
    with pytest.raises(DataError, match=r"masks/000\.png would be the mask of two images, .*000\.png and .*000\.bmp"):
        ForegroundFolder(tmp_path / "masks").learn(images)
    masks = ForegroundFolder(tmp_path / "masks")
    masks.read(images[:1], size=SIZE)
    with pytest.raises(DataError, match=r"two images, .*000\.png and .*000\.bmp; write the whole file name"):
        masks.read(images[1:], size=SIZE)  # in a later batch


def test_a_mask_of_another_size_than_its_image_is_refused_with_both_sizes(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    write(tmp_path / "masks" / "a.png", np.full((24, 32), 255, np.uint8))
    with pytest.raises(DataError, match=r"masks/a\.png: the foreground is 32x24 px, its image .*a\.png is 24x32 px"):
        ForegroundFolder(tmp_path / "masks").learn([image])


def test_what_is_no_mask_is_named(tmp_path: Path) -> None:
    image, masks = write_image(tmp_path / "a.jpg"), tmp_path / "masks"
    write(masks / "b.png", draw(slice(8, 16)))
    with pytest.raises(DataError, match=r"no foreground for .*a\.jpg; add a\.png"):
        ForegroundFolder(masks).read([image], size=SIZE)
    write(masks / "a.png", draw(slice(0, 0)))
    with pytest.raises(DataError, match=r"a\.png: mask is empty"):
        ForegroundFolder(masks).read([image], size=SIZE)
    (masks / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png: not a readable image"):
        ForegroundFolder(masks).read([image], size=SIZE)
    with pytest.raises(DataError, match=r"a\.jpg is the image itself, not a mask of it"):
        ForegroundFolder(tmp_path).read([image], size=SIZE)


def test_an_object_between_the_samples_of_a_resize_does_not_become_the_whole_image(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    write(tmp_path / "masks" / "a.png", draw(slice(13, 14)))
    (found,) = ForegroundFolder(tmp_path / "masks").read([image], size=(4, 3))
    assert marked_rows([found]) == [[1]]


@pytest.mark.parametrize(("missing", "complaint"), [(True, r"and 1 more of 4 images"), (False, r"two images")])
def test_the_masks_of_all_images_are_checked_before_the_training_starts(
    tmp_path: Path, trainer: SimpleNamespace, tiny_bundle_path: Path, missing: bool, complaint: str
) -> None:
    names = ("000.png", "001.png", "002.png", "003.png") if missing else ("000.png", "000.bmp", "001.png", "002.png")
    images = [write_image(tmp_path / "data" / name) for name in names]
    for i in range(2 if missing else 3):
        write(tmp_path / "masks" / f"{i:03d}.png", draw(slice(8, 16)))
    samples = pd.DataFrame({"image_path": [*images, "pairs/x.png"], "label_index": [0, 0, 0, 0, 1]})
    trainer.datamodule = SimpleNamespace(train_data=SimpleNamespace(samples=samples))
    augment: Any = StageAugment(weights=str(tiny_bundle_path), foreground=str(tmp_path / "masks"))
    model = MODELS["UniNet"]()
    trainer.callbacks = [augment]
    augment.setup(trainer, model, "fit")
    with pytest.raises(DataError, match=complaint):
        augment.on_fit_start(trainer, model)


def test_inverted_and_full_foregrounds_are_doubted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inverted = np.full(SIZE, 255, np.uint8)
    inverted[6:26, 5:19] = 0
    images = [write_image(tmp_path / "data" / f"{name}.png") for name in "abcd"]
    for name, mask in zip("abcd", (draw(slice(4, 28)), inverted, inverted, inverted | 255), strict=True):
        write(tmp_path / "masks" / f"{name}.png", mask)
    folder = ForegroundFolder(tmp_path / "masks")
    folder.read(images[:1], size=SIZE)
    assert caplog.text == ""
    for _ in range(2):
        folder.read(images, size=SIZE)
    said = [record.getMessage().split("masks/")[1] for record in caplog.records]
    assert said == [
        "d.png marks the whole image; white must be where defects may lie",
        "b.png marks the border and not the middle; white must be where defects may lie",
    ]


def test_a_foreground_that_fits_only_the_picture_turned_by_exif_is_refused_with_the_cure(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    (tmp_path / "data").mkdir()
    Image.new("RGB", SIZE).save(tmp_path / "data" / "a.jpg", exif=tags)  # stored on its side
    write(tmp_path / "masks" / "a.png", draw(slice(None)))
    Image.new("L", SIZE[::-1], 255).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match="an EXIF orientation tag .6. tells viewers to turn"):
        ForegroundFolder(tmp_path / "masks").learn([str(tmp_path / "data" / "a.jpg")])
