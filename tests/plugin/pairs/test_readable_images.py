# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Files that anomalib's reader turns white or nearly black are refused on every way into a training."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from anomalib.data.utils import read_image
from PIL import Image
from torchvision import tv_tensors

from anomalib_stage.errors import DataError
from anomalib_stage.files.decoding import is_deep_file
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.data.folder import StageFolder
from anomalib_stage.plugin.data.transform import StageTransform
from anomalib_stage.plugin.pairs.bank import PairBank
from anomalib_stage.plugin.pairs.readable_images import check_readable
from tests.plugin.conftest import MODELS, Batch
from tests.plugin.real_models import data_module, engine_for, segmenter

if TYPE_CHECKING:
    from collections.abc import Callable


def grey(bits: int, side: int = 64) -> np.ndarray:
    """Return a picture of a camera of so many bits, ``(side, side)`` uint16."""
    return np.random.default_rng(0).integers(2 ** (bits - 2), 2**bits, (side, side)).astype(np.uint16)


def colour(bits: int) -> np.ndarray:
    return np.repeat(grey(bits)[..., None], 3, axis=2)


def save_as(mode: str, dtype: Any) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        picture = Image.fromarray(grey(12).astype(dtype))
        assert picture.mode == mode
        picture.save(path)

    return save


def save_colour(bits: int, alpha: bool = False) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        pixels = np.dstack([colour(bits), np.full((64, 64, 1), 65535, np.uint16)]) if alpha else colour(bits)
        assert cv2.imwrite(str(path), pixels)

    return save


WHITE, DARK = "16-bit grey, which anomalib reads as white", "16-bit colour of a sensor with fewer bits"


@pytest.mark.parametrize(
    ("name", "save", "complaint"),
    [
        ("a.png", save_as("I;16", np.uint16), WHITE),
        ("a.tif", save_as("I;16", np.uint16), WHITE),
        ("a.tiff", save_as("I", np.int32), WHITE),
        ("a.pgm", lambda path: path.write_bytes(b"P5 64 64 4095\n" + grey(12).astype(">u2").tobytes()), WHITE),
        ("a.tif", save_as("F", np.float32), "floating point, which anomalib clips"),
        ("a.png", save_colour(10), DARK),
        ("a.png", save_colour(14), DARK),
        ("a.png", save_colour(12, alpha=True), DARK),
        ("a.tif", save_colour(12), DARK),
    ],
)
def test_a_file_that_anomalib_misreads_is_refused(
    tmp_path: Path, name: str, save: Callable[[Path], None], complaint: str
) -> None:
    save(tmp_path / name)
    read = read_image(tmp_path / name)
    assert read.mean() > 0.99 or read.mean() < 0.25  # white, or nearly black
    with pytest.raises(DataError, match=rf"{name}: {complaint}.*; convert it to 8 bit with the range of the sensor"):
        check_readable([tmp_path / name])


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.png", save_colour(16)),
        ("a.tif", save_colour(16)),
        ("a.ppm", lambda path: path.write_bytes(b"P6 64 64 4095\n" + colour(12).astype(">u2").tobytes())),
        *(
            (f"a.{end}", lambda path: cv2.imwrite(str(path), colour(8).astype(np.uint8)))
            for end in ("png", "tif", "bmp")
        ),
        *((f"a.{end}", lambda path: cv2.imwrite(str(path), colour(8).astype(np.uint8))) for end in ("jpg", "webp")),
        ("a.tif", lambda path: cv2.imwrite(str(path), grey(8).astype(np.uint8))),
        ("a.png", lambda path: Image.fromarray(grey(8) > 99).save(path)),
        ("a.png", lambda path: Image.fromarray(grey(8).astype(np.uint8)).convert("P").save(path)),
        ("a.png", lambda path: path.write_bytes(b"no picture")),
        ("a.tif", lambda path: path.write_bytes(b"II*\0")),
        ("a.png", lambda path: None),
    ],
)
def test_a_file_that_anomalib_reads_rightly_or_complains_of_itself_passes(
    tmp_path: Path, name: str, save: Callable[[Path], Any]
) -> None:
    save(tmp_path / name)
    check_readable([str(tmp_path / name)])


def test_the_first_file_and_the_count_are_named(tmp_path: Path) -> None:
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), grey(16) if i in (1, 3, 4) else colour(8).astype(np.uint8))
    with pytest.raises(DataError, match=r"1\.png: 16-bit grey, .* \(and so are 2 more of the 5 files\)"):
        check_readable(sorted(tmp_path.iterdir()))


def test_one_bright_picture_shows_that_a_set_has_the_whole_range(tmp_path: Path) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), colour(16 if i == 2 else 12))
    check_readable(sorted(tmp_path.iterdir()))
    assert is_deep_file(tmp_path / "0.png")


@pytest.mark.parametrize("end", ["png", "tif", "jpg"])
def test_headers_of_five_thousand_files_take_little(tmp_path: Path, end: str) -> None:
    file = tmp_path / f"a.{end}"
    cv2.imwrite(str(file), colour(8).astype(np.uint8))
    start = time.perf_counter()
    for _ in range(50):
        with file.open("rb") as opened:
            opened.read(26)
    single = (time.perf_counter() - start) / 50
    start = time.perf_counter()
    check_readable([file] * 5000)
    assert time.perf_counter() - start < max(5000 * single * 20, 5.0)


# -- ways in ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["grey", "colour"])
def deep_parts(parts: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The small data set, with good pictures of a 12-bit camera."""
    root = shutil.copytree(parts, tmp_path / "parts")
    for i, path in enumerate(sorted((root / "good").iterdir())):
        cv2.imwrite(str(path), grey(12, 96) if request.param == "grey" else np.roll(colour(12), i, axis=0))
    return root


MISREAD = r"good/00\d\.png: 16-bit (grey|colour).*which anomalib reads as (white|nearly black)"


def _begin(augment: StageAugment, trainer: SimpleNamespace, data: Any) -> Any:
    model = MODELS["UniNet"]()
    vars(trainer).update(callbacks=[augment], datamodule=data)
    augment.setup(trainer, model, "fit")
    augment.on_fit_start(trainer, model)
    return model


def test_live_training_refuses_them_before_weights_are_read(deep_parts: Path, trainer: SimpleNamespace) -> None:
    data = data_module(deep_parts)
    data.setup("fit")
    with pytest.raises(DataError, match=MISREAD):
        _begin(StageAugment(weights="no/such/file"), trainer, data)


def test_live_training_refuses_them_among_the_images_to_validate_with(parts: Path, trainer: SimpleNamespace) -> None:
    data = data_module(parts)
    data.setup("fit")
    path = Path(data.val_data.samples["image_path"][0])
    stored = path.read_bytes()
    try:
        cv2.imwrite(str(path), grey(16))
        with pytest.raises(DataError, match=rf"{path.name}: 16-bit grey"):
            _begin(StageAugment(weights="no/such/file"), trainer, data)
    finally:
        path.write_bytes(stored)


def test_live_training_refuses_them_in_loaders_without_a_data_module(
    deep_parts: Path, trainer: SimpleNamespace, tiny_bundle_path: Path
) -> None:
    data = data_module(deep_parts)
    data.setup("fit")
    augment = StageAugment(weights=str(tiny_bundle_path), sampling_steps=4)
    model = _begin(augment, trainer, None)
    with pytest.raises(DataError, match=MISREAD):
        augment.on_train_batch_start(trainer, model, next(iter(data.train_dataloader())), 0)


def test_a_reader_of_ones_own_may_read_them_rightly(
    deep_parts: Path, trainer: SimpleNamespace, tiny_bundle_path: Path
) -> None:
    paths = sorted(str(path) for path in (deep_parts / "good").iterdir())[:2]
    images = torch.stack([_read_rightly(path) for path in paths])
    augment = StageAugment(weights=str(tiny_bundle_path), sampling_steps=4, probability=1.0)
    model = _begin(augment, trainer, None)
    batch = Batch(tv_tensors.Image(images))
    batch.image_path = paths
    augment.on_train_batch_start(trainer, model, batch, 0)
    assert batch.gt_mask.any()


def _read_rightly(path: str) -> torch.Tensor:
    stored = cv2.imread(path, cv2.IMREAD_UNCHANGED).astype(np.float32) / 4095
    return torch.from_numpy(stored if stored.ndim == 3 else np.repeat(stored[..., None], 3, axis=2)).permute(2, 0, 1)


def test_stage_folder_refuses_them_at_setup(deep_parts: Path) -> None:
    given = {"root": deep_parts, "normal_dir": "good", "num_workers": 0, "normal_test_dir": "spare"}
    data = StageFolder(**given, abnormal_dir="bad", mask_dir="mask", val_split_mode="same_as_test")
    data.setup("test")
    with pytest.raises(DataError, match=MISREAD):
        data.setup("fit")


def test_a_bank_refuses_them_when_it_is_opened(bank: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bank, tmp_path / "pairs")
    path = PairBank.open(folder).pairs[0].image
    cv2.imwrite(str(path), grey(12, 96))
    with pytest.raises(DataError, match=rf"{path}: 16-bit grey, which anomalib reads as white"):
        PairBank.open(folder)


def test_the_transform_refuses_images_that_are_all_white(bank: Path) -> None:
    def show(transform: StageTransform, white: float) -> None:
        image = torch.full((3, 32, 32), white)
        transform(tv_tensors.Image(image), tv_tensors.Mask(torch.zeros(32, 32, dtype=torch.uint8)))

    transform = StageTransform(bank=bank)
    for _ in range(3):
        show(transform, 1.0)
    with pytest.raises(DataError, match=r"first 4 images are white all over; if a file is 16-bit grey.*to 8 bit"):
        show(transform, 1.0)
    transform = StageTransform(bank=bank)
    for white in (1.0, 1.0, 0.99, 1.0, 1.0, 1.0, 1.0, 1.0):
        show(transform, white)


def test_segmenter_refuses_them_without_the_callback_too(deep_parts: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=MISREAD):
        engine_for(tmp_path).fit(segmenter(64), datamodule=data_module(deep_parts))
