# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of a pregenerated folder: how they are read, and how StageAugment puts them into batches of stand-ins."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.data.utils import read_image, read_mask
from torchvision import tv_tensors
from torchvision.transforms import v2

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.pairs.bank import PairBank
from anomalib_stage.plugin.pairs.choice import Shares, choose
from anomalib_stage.plugin.pairs.merge import is_same_outside
from anomalib_stage.plugin.pairs.resize import MaskKeepingResize, keep_masks, resize_image, resize_mask
from tests.plugin.conftest import MODELS, Batch, train_step

if TYPE_CHECKING:
    from collections.abc import Callable


# -- the folder -------------------------------------------------------------------------------------------------------


def test_a_bank_has_the_pairs_of_the_manifest(bank: Path, parts: Path) -> None:
    opened = PairBank.open(bank)
    assert len(opened) == 12
    for pair in opened.pairs:
        image, mask = opened.read(pair)
        clean = read_image(parts / "good" / pair.source, as_tensor=True)
        assert mask.shape == (1, 96, 96)
        assert mask.any()
        assert torch.equal(image[:, ~mask[0]], clean[:, ~mask[0]])


def test_kinds_can_be_chosen(bank: Path) -> None:
    assert {pair.defect for pair in PairBank.open(bank, defects=["stain"]).pairs} == {"stain"}
    with pytest.raises(InputError, match=r"has no pairs of the defect 'rust'; it has hole, scratch, stain"):
        PairBank.open(bank, defects=["stain", "rust"])


def test_pairs_of_other_images_are_left_out(bank: Path, parts: Path) -> None:
    some = [str(parts / "good" / name) for name in ("001.png", "004.png")]
    assert {pair.source for pair in PairBank.open(bank).within(some).pairs} == {"001.png", "004.png"}
    left = PairBank.open(bank).within(some, held_back=[some[1], str(parts / "good" / "002.png")])
    assert {pair.source for pair in left.pairs} == {"001.png", "004.png"}  # what trains is not held back
    assert len(PairBank.open(bank).within(["elsewhere/x.png"])) == 12


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: shutil.rmtree(folder), r"manifest\.jsonl: cannot be read .*pregenerate"),
        (lambda folder: (folder / "manifest.jsonl").write_text("{}\n"), r"manifest\.jsonl"),
        (lambda folder: (folder / "manifest.jsonl").write_text("no json\n"), r"manifest\.jsonl"),
        (lambda folder: shutil.rmtree(folder / "mask"), r"\.png and 11 more files of the manifest are missing"),
        (lambda folder: next(folder.glob("image/*/*.png")).unlink(), r"\.png is missing; run the command again"),
    ],
)
def test_a_folder_that_is_no_bank_is_refused_in_a_sentence(
    bank: Path, tmp_path: Path, damage: Callable[[Path], Any], complaint: str
) -> None:
    folder = shutil.copytree(bank, tmp_path / "pairs")
    damage(folder)
    with pytest.raises(DataError, match=complaint) as error:
        PairBank.open(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("what", ["image", "mask", "other"])
def test_a_damaged_pair_is_named(bank: Path, tmp_path: Path, what: str) -> None:
    opened = PairBank.open(shutil.copytree(bank, tmp_path / "pairs"))
    pair = opened.pairs[0]
    if what == "other":
        shutil.copy(pair.image, pair.mask)
        pair.image.write_bytes(Path(__file__).parents[2].joinpath("../docs/images/deeppcb.png").read_bytes())
    else:
        getattr(pair, what).write_bytes(b"no picture")
    with pytest.raises(DataError, match=str(pair.mask if what == "other" else getattr(pair, what))):
        opened.read(pair)


def test_pictures_that_anomalib_would_read_as_white_are_refused(bank: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bank, tmp_path / "pairs")
    path = PairBank.open(folder).pairs[-1].image
    shallow = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(path), shallow)
    PairBank.open(folder)
    cv2.imwrite(str(path), shallow.astype(np.uint16) * 257)
    with pytest.raises(DataError, match=rf"{path}: 16-bit grey, which anomalib reads as white; convert .* to 8 bit"):
        PairBank.open(folder)


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (7, 13), (64, 64), (100, 70)])
def test_no_mask_gets_lost_in_a_resize(size: tuple[int, int]) -> None:
    masks = torch.eye(64 * 64, dtype=torch.bool)[::97].view(-1, 64, 64)  # one pixel each, all over the picture
    resized = resize_mask(masks, size)
    assert resized.dtype == torch.bool
    assert resized.shape == (len(masks), *size)
    assert resized.flatten(1).any(dim=1).all()


@pytest.mark.parametrize("interpolation", [v2.InterpolationMode.BILINEAR, v2.InterpolationMode.BICUBIC])
def test_images_are_resized_as_the_data_module_does_it(interpolation: Any) -> None:
    image, like = torch.rand(3, 40, 60), v2.Resize((16, 16), interpolation=interpolation, antialias=True)
    assert torch.equal(resize_image(image, (16, 16), like=like), like(image).clamp(0, 1))


def test_a_resize_of_anomalib_is_exchanged_for_one_that_keeps_masks() -> None:
    mask = tv_tensors.Mask(torch.zeros(64, 64, dtype=torch.uint8))
    mask[33, 35] = 1
    image = tv_tensors.Image(torch.rand(3, 64, 64))
    plain = v2.Compose([v2.RandomHorizontalFlip(0.0), v2.Resize((16, 16))])
    assert not plain(image, mask)[1].any()
    pictures, masks = keep_masks(plain)(image, mask)
    assert type(masks) is tv_tensors.Mask
    assert masks.dtype == torch.uint8
    assert masks.sum() == 1
    assert torch.equal(pictures, plain(image, mask)[0])
    assert isinstance(keep_masks(v2.Resize(16)), MaskKeepingResize)
    assert keep_masks(None) is None


# -- StageAugment -----------------------------------------------------------------------------------------------------


def a_batch(parts: Path, names: tuple[str, ...] = ("000", "001", "002", "003"), turned: bool = False) -> Any:
    """Return a batch of good pictures with their paths, as anomalib's data sets give it."""
    paths = [str(parts / "good" / f"{name}.png") for name in names]
    images = torch.stack([read_image(path, as_tensor=True) for path in paths])
    batch = Batch(tv_tensors.Image(images.flip(-1) if turned else images))
    batch.image_path = paths
    return batch


@pytest.fixture
def drawing(bank: Path, trainer: SimpleNamespace, parts: Path) -> Callable[..., tuple[StageAugment, Any]]:
    """Return a function that begins a fit with a bank: ``drawing("Draem")`` gives the callback and the model."""
    paths = [str(parts / "good" / f"{i:03d}.png") for i in range(6)]

    def start(name: str, augmentations: Any = None, **arguments: Any) -> tuple[StageAugment, Any]:
        chosen = {"bank": bank, "negatives": 0.0, "probability": 1.0, "weights": "no/such/file"} | arguments
        augment, model = StageAugment(**chosen), MODELS[name]()
        trainer.callbacks = [augment]
        data = SimpleNamespace(samples=pd.DataFrame({"image_path": paths}), augmentations=augmentations)
        trainer.datamodule = SimpleNamespace(train_data=data)
        augment.setup(trainer, model, "fit")
        augment.on_fit_start(trainer, model)
        return augment, model

    return start


Drawing = "Callable[..., tuple[StageAugment, Any]]"


def test_batch_mode_takes_whole_pairs(drawing: Drawing, trainer: SimpleNamespace, parts: Path, bank: Path) -> None:
    augment, model = drawing("UniNet", probability=0.5)
    seen = {tuple(read_mask(pair.mask, as_tensor=True).nonzero()[0].tolist()) for pair in PairBank.open(bank).pairs}
    clean = a_batch(parts).image
    for index in range(4):
        batch = train_step(augment, trainer, model, a_batch(parts), index)
        assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
        for i in batch.gt_label.nonzero().flatten().tolist():
            assert tuple(batch.gt_mask[i].nonzero()[0].tolist()) in seen
        assert torch.equal(batch.image[~batch.gt_label], clean[~batch.gt_label])
    assert 0 < augment.counts["anomalies"] < augment.counts["images"] == 16


def test_swap_mode_puts_the_masked_pixels_onto_the_very_image(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path
) -> None:
    augment, model = drawing("Draem")
    batch, clean = a_batch(parts), a_batch(parts).image
    augment.on_train_batch_start(trainer, model, batch, 0)
    assert torch.equal(batch.image, clean)
    painted, masks = model.augmenter(batch.image.as_subclass(torch.Tensor))
    assert masks.dtype == torch.float32
    assert masks.flatten(1).any(dim=1).all()
    changed = (painted != clean).any(dim=1, keepdim=True)
    assert changed.flatten(1).any(dim=1).all()
    assert not (changed & (masks == 0)).any()
    assert batch.gt_label is None


def test_a_pair_is_turned_with_its_good_image(drawing: Drawing, trainer: SimpleNamespace, parts: Path) -> None:
    augment, model = drawing("Draem", augmentations=v2.RandomHorizontalFlip(1.0), probability=0.5)
    batch = a_batch(parts, turned=True)
    augment.on_train_batch_start(trainer, model, batch, 0)
    painted, masks = model.augmenter(batch.image.as_subclass(torch.Tensor))
    assert set(masks.flatten(1).any(dim=1).tolist()) == {True, False}
    assert torch.equal(batch.image, a_batch(parts, turned=True).image)
    assert not ((painted != batch.image).any(dim=1, keepdim=True) & (masks == 0)).any()


@pytest.mark.parametrize("model", ["UniNet", "Draem"])
def test_images_that_were_changed_out_of_sight_are_refused(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path, model: str
) -> None:
    augment, built = drawing(model, probability=0.5)
    with pytest.raises(InputError, match=r"000\.png is not what anomalib reads .* train_augmentations, where pairs"):
        augment.on_train_batch_start(trainer, built, a_batch(parts, turned=True), 0)


def test_an_image_without_a_pair_of_its_own_gets_that_of_another(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path
) -> None:
    augment, model = drawing("Draem")
    batch = a_batch(parts)
    batch.image_path = [f"{parts}/spare/x{i}.png" for i in range(4)]
    augment.on_train_batch_start(trainer, model, batch, 0)
    good = torch.stack([read_image(parts / "good" / f"{i:03d}.png", as_tensor=True) for i in range(6)])
    assert all((image == good).flatten(1).all(dim=1).any() for image in batch.image)
    painted, masks = model.augmenter(batch.image.as_subclass(torch.Tensor))
    assert masks.flatten(1).any(dim=1).all()
    assert not ((painted != batch.image).any(dim=1, keepdim=True) & (masks == 0)).any()


def test_normalised_images_get_normalised_pairs(drawing: Drawing, trainer: SimpleNamespace, parts: Path) -> None:
    augment, model = drawing("FoundAD")
    model.pre_processor = SimpleNamespace(
        transform=v2.Compose([v2.Resize((48, 48)), v2.Normalize([0.5] * 3, [0.2] * 3)])
    )
    augment.on_train_batch_start(trainer, model, batch := a_batch(parts), 0)
    images = model.pre_processor.transform(batch.image.as_subclass(torch.Tensor))
    # the stand-in was made before the pre-processor was known, hence it does not denormalise: do it here
    pair = augment._session.answer(images * 0.2 + 0.5)
    assert pair.label.all()
    assert pair.mask.shape == (4, 1, 48, 48)


def test_a_random_augmentation_before_the_generator_is_refused(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path
) -> None:
    augment, model = drawing("FoundAD")
    augment.on_train_batch_start(trainer, model, batch := a_batch(parts), 0)
    with pytest.raises(InputError, match="use_few_shot_augmentation=False"):
        model.cutpaste(batch.image.as_subclass(torch.Tensor).flip(-1))


def test_masks_alone_come_from_the_bank_too(drawing: Drawing, trainer: SimpleNamespace, parts: Path) -> None:
    augment, model = drawing("Dsr")
    augment.on_train_batch_start(trainer, model, batch := a_batch(parts), 0)
    masks = model.quantized_anomaly_generator.augment_batch(batch.image.as_subclass(torch.Tensor))
    assert masks.flatten(1).any(dim=1).all()


def test_the_seed_decides_which_pairs(drawing: Drawing, trainer: SimpleNamespace, parts: Path) -> None:
    masks = []
    for seed in (1, 1, 2):
        augment, model = drawing("UniNet", seed=seed)
        masks.append(train_step(augment, trainer, model, a_batch(parts)).gt_mask)
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_part_of_the_anomalies_can_be_live(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path, tiny_bundle_path: Path
) -> None:
    live = {"weights": str(tiny_bundle_path), "sampling_steps": 4, "synthesis": {"gate": {"min_visibility": 0.0}}}
    augment, model = drawing("Draem", refresh=0.5, **live)
    step = None
    for index in range(3):
        augment.on_train_batch_start(trainer, model, batch := a_batch(parts), index)
        step = augment._session._step
        _, masks = model.augmenter(batch.image.as_subclass(torch.Tensor))
        assert masks.flatten(1).any(dim=1).all()
        augment.on_train_batch_end(trainer, model, None, batch, index)
        assert int(step.bank.label.sum()) == sum(choice.source == "bank" for choice in step.choices)
    assert augment.counts["anomalies"] == 12
    assert step is not None


def test_the_bank_takes_the_share_that_the_network_leaves() -> None:
    shares = Shares(0.5, refresh=0.3)
    share = sum(choose(seed, shares).source == "bank" for seed in range(4000)) / 4000
    assert share == pytest.approx(0.5 * 0.7, abs=0.03)


def test_a_bank_has_no_negatives_and_says_so(drawing: Drawing, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        drawing("UniNet", negatives=0.25)
    assert "a bank has no negatives" in caplog.text


def test_no_network_is_imported_for_a_bank() -> None:
    code = (
        "import sys; from anomalib_stage.plugin.callback import augment, bank_pairs;"
        "from anomalib_stage.plugin.data import folder, transform;"
        "sys.exit('diffusers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_bank_of_other_images_is_refused_where_clean_originals_are_needed(
    drawing: Drawing, bank: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(bank, tmp_path / "pairs")
    manifest = folder / "manifest.jsonl"
    renamed = manifest.read_text().replace('"source":"', '"source":"elsewhere/')
    manifest.write_text(renamed)
    assert drawing("Draem", bank=folder)  # the content tells
    manifest.write_text(re.sub('"source_sha256":"[^"]*"', f'"source_sha256":"{"0" * 64}"', renamed))
    assert drawing("UniNet", bank=folder)
    with pytest.raises(InputError, match=r"no pair of the bank .* was painted into an image of this training"):
        drawing("Draem", bank=folder)


@pytest.mark.parametrize("model", ["UniNet", "Draem"])
def test_pairs_of_held_back_images_stay_out_and_originals_are_never_those_of_another_line(
    model: str, trainer: SimpleNamespace, parts: Path, bank: Path, tmp_path: Path
) -> None:
    lines = {line: [tmp_path / line / "good" / f"{i:03d}.png" for i in range(6)] for line in ("lineB", "lineA")}
    for line, files in lines.items():
        files[0].parent.mkdir(parents=True)
        for file in files:
            cv2.imwrite(str(file), cv2.imread(str(parts / "good" / file.name))[:: 1 if line == "lineA" else -1])
    trained = [*map(str, lines["lineB"]), *map(str, lines["lineA"][:3])]
    samples = [pd.DataFrame({"image_path": paths}) for paths in (trained, list(map(str, lines["lineA"][3:])))]
    splits = dict(zip(("train_data", "val_data"), (SimpleNamespace(samples=one) for one in samples), strict=True))
    trainer.datamodule = SimpleNamespace(**splits)
    augment: Any = StageAugment(bank=bank, negatives=0.0, probability=1.0)
    trainer.callbacks, module = [augment], MODELS[model]()
    augment.setup(trainer, module, "fit")
    augment.on_fit_start(trainer, module)
    assert {pair.source for pair in augment._session.bank.bank.pairs} == {"000.png", "001.png", "002.png"}
    clean = torch.stack([read_image(path, as_tensor=True) for path in lines["lineA"][:3]])
    for step, turned in enumerate((lines["lineA"][:3], lines["lineB"][:3])):
        batch = Batch(tv_tensors.Image(torch.stack([read_image(path, as_tensor=True) for path in turned])))
        batch.image_path = [str(path) for path in turned]
        augment.on_train_batch_start(trainer, module, batch, step)
        if model == "Draem":
            assert all((image == clean).flatten(1).all(dim=1).any() for image in batch.image)
        augment.on_train_batch_end(trainer, module, None, batch, step)
    augment.teardown(trainer, module, "fit")


def test_a_doubtful_original_is_refused_before_the_training_starts(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path, bank: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(bank, tmp_path / "pairs")
    manifest = folder / "manifest.jsonl"
    manifest.write_text(re.sub('"source_sha256":"[^"]*"', '"source_sha256":null', manifest.read_text()))
    augment, _ = drawing("Draem", bank=folder)
    more = shutil.copytree(parts / "good", tmp_path / "lineB" / "good")
    samples = trainer.datamodule.train_data.samples
    trainer.datamodule.train_data.samples = pd.concat([samples, pd.DataFrame({"image_path": map(str, more.iterdir())})])
    augment.setup(trainer, module := MODELS["Draem"](), "fit")
    with pytest.raises(InputError, match=r"no digests of the good images, and .* could both be the clean original"):
        augment.on_fit_start(trainer, module)


def test_a_pair_that_was_not_painted_into_its_source_is_refused(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path, bank: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(bank, tmp_path / "pairs")
    images = sorted(folder.glob("image/*/*.png"))
    shutil.copy(parts / "spare" / "000.png", images[0])
    for image in images[1:]:
        shutil.copy(images[0], image)
    augment, model = drawing("Draem", bank=folder)
    with pytest.raises(DataError, match=r"was not painted into .*: they differ outside the mask"):
        augment.on_train_batch_start(trainer, model, a_batch(parts), 0)


def test_anomalous_images_are_refused_where_they_would_pass_for_clean(
    drawing: Drawing, trainer: SimpleNamespace, parts: Path
) -> None:
    augment, model = drawing("Draem")
    batch = a_batch(parts)
    batch.gt_label = torch.tensor([False, True, False, False])
    with pytest.raises(InputError, match="Draem would take them for clean"):
        augment.on_train_batch_start(trainer, model, batch, 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"refresh": 0.3}, "refresh is 0.3 without a bank"),
        ({"bank": "pairs", "refresh": 1.5}, "refresh is 1.5; give a number from 0 to 1"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        StageAugment(**arguments)


def test_likeness_is_judged_outside_the_mask_and_its_rim() -> None:
    clean, mask = torch.full((3, 20, 20), 0.5), torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 8:10, 8:10] = True
    image = clean.clone()
    image[:, 6:12, 6:12] = 1.0
    assert is_same_outside(image, mask, clean)
    assert not is_same_outside(clean + 0.1, mask, clean)
    assert is_same_outside(image, torch.ones_like(mask), clean)
