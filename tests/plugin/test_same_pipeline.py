# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Good and anomalous images of a training have gone through the same steps, with draws from the same distributions.

What is compared is what a model could see outside the masks: brightness, sharpness, and which way the picture lies.
"""
# ruff: noqa: NPY002 - a user's steps draw from numpy's old global stream

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from anomalib.pre_processing import PreProcessor
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.data.collate import stage_collate
from anomalib_stage.plugin.data.folder import StageFolder
from anomalib_stage.plugin.data.transform import StageTransform
from tests.plugin.conftest import Draem, Recorder
from tests.plugin.real_models import data_module, segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

SIDE = 64

AUGMENTATIONS: dict[str, v2.Transform] = {
    "brightness": v2.ColorJitter(brightness=(1.15, 1.35)),
    "blur": v2.GaussianBlur(5, sigma=(1.0, 2.0)),
    "noise": v2.GaussianNoise(sigma=0.05),
    "rotation": v2.RandomRotation((60, 120)),
    "flip": v2.RandomHorizontalFlip(0.6),
    "crop": v2.RandomResizedCrop(SIDE, scale=(0.2, 0.4)),
    "several": v2.Compose([v2.RandomVerticalFlip(0.8), v2.RandomApply([v2.ColorJitter(contrast=(0.5, 0.6))], p=0.8)]),
}


class Supersimplenet(Recorder):
    """Reads masks and labels at a quarter of their size, as the one of anomalib does."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.feature_extractor = nn.AvgPool2d(4)
        self.model.downsample_mask = lambda masks, height, width: (
            functional.interpolate(masks[:, None].float(), size=(height, width), mode="bilinear") >= 0.5
        )


MODELS: dict[str, Callable[[], Any]] = {
    "Segmenter": lambda: segmenter(48),
    "Supersimplenet": Supersimplenet,
    "Draem": Draem,
}


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write eight good pictures that brighten from left to right, with fine texture, and what a test needs."""
    root, rng = tmp_path_factory.mktemp("ramps"), np.random.default_rng(1)
    for folder, count in (("good", 8), ("spare", 1), ("bad", 1), ("mask", 1)):
        (root / folder).mkdir()
        for i in range(count):
            ramp = np.linspace(70, 150, SIDE)[None, :, None] + rng.normal(0, 15, (SIDE, SIDE, 1)) + rng.normal(0, 3)
            mask = np.zeros((SIDE, SIDE, 3))
            mask[20:40, 20:40] = 255
            picture = (mask if folder == "mask" else ramp).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(root / folder / f"{i:03d}.png"), picture)
    return root


@pytest.fixture(scope="module")
def pairs(ramps: Path, tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pregenerate sixteen pairs, two in each good picture."""
    from anomalib_stage.pregeneration.run import pregenerate

    out = tmp_path_factory.mktemp("pairs") / "pairs"
    few = {"weights": str(tiny_bundle_path), "sampling_steps": 4, "min_visibility": 0.0, "seed": 3}
    pregenerate(data=ramps / "good", out=out, count=16, **few)
    return out


def begin(augment: StageAugment | None, model: Any, data: Any, tmp_path: Path, *, epochs: int = 1) -> Iterator[Any]:
    """Yield each batch of a training as the callback leaves it."""
    trainer = SimpleNamespace(global_rank=0, is_global_zero=True, current_epoch=0, default_root_dir=str(tmp_path))
    vars(trainer).update(callbacks=[augment], model=model, lightning_module=model, datamodule=data)
    data.trainer = trainer
    data.setup("fit")
    if augment is not None:
        augment.setup(trainer, model, "fit")
        augment.on_fit_start(trainer, model)
    for trainer.current_epoch in range(epochs):
        for index, batch in enumerate(data.train_dataloader()):
            if augment is not None:
                augment.on_train_batch_start(trainer, model, batch, index)
            yield batch


def train(
    augment: StageAugment | None, model: Any, data: Any, tmp_path: Path, *, epochs: int = 1
) -> Iterator[tuple[Any, Tensor, Tensor]]:
    """Yield batch, images and masks of each step, as the model gets them before its pre-processor."""
    for batch in begin(augment, model, data, tmp_path, epochs=epochs):
        if isinstance(model, Draem):
            painted, masks = model.augmenter(batch.image.as_subclass(torch.Tensor))
            yield batch, painted, masks > 0
        else:
            yield batch, batch.image.as_subclass(torch.Tensor), batch.gt_mask.as_subclass(torch.Tensor)[:, None]


def look(image: Tensor, mask: Tensor) -> list[float]:
    """Return brightness, fineness and slopes of an image outside its mask and what a blur may smear around it."""
    outside = functional.max_pool2d(mask[None].float(), 11, stride=1, padding=5)[0, 0] == 0
    grey, (height, width) = image.mean(dim=0), image.shape[1:]
    fine = (grey[1:-1, 1:-1] - functional.avg_pool2d(grey[None, None], 3, stride=1)[0, 0]).abs()
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    basis = torch.stack([torch.ones_like(grey), rows, columns], dim=-1)[outside]
    mean, down, right = torch.linalg.lstsq(basis, grey[outside][:, None]).solution[:, 0].tolist()
    return [mean, float(fine[outside[1:-1, 1:-1]].mean()), down, right]


def measure(steps: Iterator[tuple[Any, Tensor, Tensor]]) -> tuple[np.ndarray, np.ndarray]:
    """Return what good and anomalous images look like outside the masks, a row for each image."""
    looks: tuple[list[Any], list[Any]] = ([], [])
    for _, images, masks in steps:
        for image, mask in zip(images, masks, strict=True):
            if mask.float().mean() < 0.3:
                looks[bool(mask.any())].append(look(image, mask))
    good, anomalous = (np.array(rows) for rows in looks)
    assert min(len(good), len(anomalous)) >= 10
    return good, anomalous


def assert_alike(good: np.ndarray, anomalous: np.ndarray) -> None:
    """Check that no mean and no spread tells the classes apart: four standard errors, or what a mask takes away."""
    for column in range(good.shape[1]):
        a, b = good[:, column], anomalous[:, column]
        error = np.sqrt(a.var() / len(a) + b.var() / len(b))
        assert abs(a.mean() - b.mean()) <= 4.0 * error + 0.003, (column, a.mean(), b.mean(), error)
        assert abs(a.std() - b.std()) <= 0.5 * max(a.std(), b.std()) + 0.003, (column, a.std(), b.std())


def folder(ramps: Path, step: v2.Transform | None, **changes: Any) -> Any:
    return data_module(ramps, train_augmentations=step, train_batch_size=8, **changes)


@pytest.fixture
def from_bank(pairs: Path) -> Callable[..., StageAugment]:
    given = {"bank": pairs, "negatives": 0.0, "probability": 0.5, "weights": "no/such/file", "preview": False}
    return lambda **changes: StageAugment(**(given | changes))


@pytest.fixture
def live(tiny_bundle_path: Path) -> Callable[..., StageAugment]:
    few = {"sampling_steps": 4, "synthesis": {"gate": {"min_visibility": 0.0}}, "preview": False}
    return lambda **changes: StageAugment(weights=str(tiny_bundle_path), **(few | changes))


SEEN: dict[str, np.ndarray] = {}
"""Model to what good images look like that nothing was done to."""

SOME = [("Supersimplenet", name) for name in AUGMENTATIONS]
SOME += [("Segmenter", "brightness"), ("Segmenter", "rotation")]
SOME += [("Draem", name) for name in ("brightness", "blur", "flip", "crop")]


@pytest.mark.parametrize(("model", "name"), SOME)
def test_statistics_outside_the_masks_agree_with_pairs_of_a_bank(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment], model: str, name: str
) -> None:
    torch.manual_seed(0)
    data = folder(ramps, AUGMENTATIONS[name])
    good, anomalous = measure(train(from_bank(), MODELS[model](), data, tmp_path, epochs=6))
    assert_alike(good, anomalous)
    if model not in SEEN:
        SEEN[model], _ = measure(train(from_bank(), MODELS[model](), folder(ramps, None), tmp_path, epochs=6))
    with pytest.raises(AssertionError):  # anomalous images that were left alone would be told apart
        assert_alike(good, SEEN[model])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"), [("Segmenter", "brightness"), ("Supersimplenet", "blur"), ("Draem", "flip"), ("Draem", "crop")]
)
def test_statistics_outside_the_masks_agree_when_painted_live(
    ramps: Path, tmp_path: Path, live: Callable[..., StageAugment], model: str, name: str
) -> None:
    torch.manual_seed(0)
    steps = train(live(negatives=0.0), MODELS[model](), folder(ramps, AUGMENTATIONS[name]), tmp_path, epochs=5)
    assert_alike(*measure(steps))


@pytest.mark.slow
@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("source", ["live", "bank", "both"])
def test_statistics_agree_for_every_model_and_step(
    ramps: Path, tmp_path: Path, live: Callable[..., StageAugment], pairs: Path, model: str, name: str, source: str
) -> None:
    torch.manual_seed(0)
    augment = live() if source == "live" else live(bank=pairs, refresh=0.5 * (source == "both"))
    assert_alike(*measure(train(augment, MODELS[model](), folder(ramps, AUGMENTATIONS[name]), tmp_path, epochs=12)))


@pytest.mark.parametrize(
    ("source", "name"),
    [("pairs", "brightness"), ("pairs", "crop"), ("transform", "blur"), ("transform", "crop"), ("live", "brightness")],
)
def test_statistics_agree_in_stage_folder_and_behind_a_transform(
    ramps: Path, pairs: Path, tmp_path: Path, tiny_bundle_path: Path, source: str, name: str
) -> None:
    torch.manual_seed(0)
    wanted = {"root": ramps, "normal_dir": "good", "stage_dir": pairs, "num_workers": 0, "train_batch_size": 8}
    wanted |= {"abnormal_dir": "bad", "mask_dir": "mask", "normal_test_dir": "spare", "val_split_mode": "same_as_test"}
    few = {"weights": str(tiny_bundle_path), "sampling_steps": 4, "negatives": 0.0}
    few |= {"synthesis": {"gate": {"min_visibility": 0.0}}}
    steps = {
        "pairs": AUGMENTATIONS[name],
        "transform": v2.Compose([StageTransform(bank=pairs), AUGMENTATIONS[name]]),
        "live": v2.Compose([AUGMENTATIONS[name], StageTransform(**few)]),  # live may stand anywhere
    }
    data = StageFolder(**wanted, train_augmentations=steps[source], ratio=float(source == "pairs"))
    assert_alike(*measure(train(None, Supersimplenet(), data, tmp_path, epochs=6)))


def test_statistics_agree_in_another_data_module_with_the_transform(ramps: Path, pairs: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = folder(ramps, v2.Compose([v2.Resize((48, 48)), StageTransform(bank=pairs), AUGMENTATIONS["brightness"]]))
    data.external_collate_fn = stage_collate
    assert_alike(*measure(train(None, Supersimplenet(), data, tmp_path, epochs=8)))


def test_statistics_agree_in_a_set_without_masks(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment]
) -> None:
    torch.manual_seed(0)
    data = folder(ramps, AUGMENTATIONS["brightness"], abnormal_dir=None, mask_dir=None, val_split_mode="none")
    assert_alike(*measure(train(from_bank(), Supersimplenet(), data, tmp_path, epochs=8)))


@pytest.mark.parametrize("model", ["Segmenter", "Draem"])
def test_steps_of_the_pre_processor_are_the_same_for_a_pair_and_its_clean_original(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment], model: str
) -> None:
    built = MODELS[model]()
    flip, jitter = v2.RandomHorizontalFlip(0.5), v2.ColorJitter(brightness=(0.5, 1.0))
    built.pre_processor = PreProcessor(v2.Compose([v2.Resize((48, 48)), flip, jitter]))
    augment, data, turned = from_bank(probability=1.0), folder(ramps, AUGMENTATIONS["brightness"]), set()
    for batch in begin(augment, built, data, tmp_path, epochs=6):
        before = batch.image.as_subclass(torch.Tensor).clone()
        built.pre_processor.on_train_batch_start(None, built, batch, 0)  # between the batch and the generator
        clean = batch.image.as_subclass(torch.Tensor)
        turned.add(bool(clean[0, :, :, -8:].mean() < clean[0, :, :, :8].mean()))
        assert clean.mean() < before.mean()
        if model == "Draem":
            painted, masks = built.augmenter(clean)
            assert masks.flatten(1).any(dim=1).all()
            assert not ((painted != clean).any(dim=1, keepdim=True) & (masks == 0)).any()
            assert 0.0 < (painted - clean).abs().amax(dim=(1, 2, 3)).mean() < 0.6
        else:
            assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
    assert turned == {True, False}


# -- swap mode --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_pair_and_its_clean_original_are_equal_outside_the_mask_to_the_bit(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment], name: str
) -> None:
    steps = train(from_bank(probability=1.0), Draem(), folder(ramps, AUGMENTATIONS[name]), tmp_path)
    for batch, painted, masks in steps:
        anomalous = masks.flatten(1).any(dim=1)
        assert anomalous.all() or (name == "crop" and anomalous.sum() > 4)
        changed = (painted != batch.image.as_subclass(torch.Tensor)).any(dim=1, keepdim=True)
        assert torch.equal(changed.flatten(1).any(dim=1), anomalous)
        assert not (changed & ~masks).any()


def test_the_clean_original_is_the_good_image_after_the_steps(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment]
) -> None:
    good = torch.stack([item.image for item in _items(ramps)])
    step = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.ColorJitter(brightness=(0.5, 0.5))])
    for batch, *_ in train(from_bank(), Draem(), folder(ramps, step), tmp_path):
        for image in batch.image.as_subclass(torch.Tensor):
            assert any(torch.allclose(image, one.flip(-1) * 0.5, atol=1e-6) for one in good)


def _items(ramps: Path) -> list[Any]:
    data = folder(ramps, None)
    data.setup()
    return [data.train_data[i] for i in range(len(data.train_data))]


# -- draws ------------------------------------------------------------------------------------------------------------


class Draws(v2.Transform):  # type: ignore[misc]
    """A user's step that draws from all the global streams."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        del flat_inputs
        return {"by": 0.3 * random.random() + 0.3 * float(np.random.rand()) + 0.4 * float(torch.rand(()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt * params["by"] if inpt.is_floating_point() else inpt


@pytest.mark.parametrize("model", ["Supersimplenet", "Draem"])
def test_the_trainings_random_streams_stay_and_the_seed_alone_decides(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment], model: str
) -> None:
    def run(seed: int) -> tuple[list[Tensor], list[float]]:
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        augment = from_bank(probability=1.0, seed=seed)
        seen = [images for _, images, _ in train(augment, MODELS[model](), folder(ramps, Draws()), tmp_path)]
        return seen, [random.random(), float(np.random.rand()), float(torch.rand(()))]

    (first, left), (again, _), (other, _) = run(1), run(1), run(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert len({round(float(image.mean()), 4) for batch in first for image in batch}) > 4
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    for _ in train(from_bank(probability=0.0), MODELS[model](), folder(ramps, Draws()), tmp_path):
        pass
    assert left == [random.random(), float(np.random.rand()), float(torch.rand(()))]


@pytest.mark.parametrize("model", ["Supersimplenet", "Draem"])
def test_a_defect_that_is_cropped_away_is_drawn_again_and_in_the_end_put_back(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment], model: str
) -> None:
    augment, trained = from_bank(probability=1.0), MODELS[model]()
    steps = list(train(augment, trained, folder(ramps, v2.RandomCrop(32)), tmp_path, epochs=2))
    anomalous = torch.cat([masks.flatten(1).any(dim=1) for *_, masks in steps])
    assert anomalous.float().mean() > 0.6  # Draem has two pairs of each image, and some lie in a corner
    augment, trained = from_bank(probability=1.0), MODELS[model]()
    for batch, images, masks in train(augment, trained, folder(ramps, v2.RandomCrop(4)), tmp_path, epochs=2):
        book = augment._session._step
        assert book.counts["anomalies"] + book.counts["put_back"] == len(batch.image)
        assert book.counts["put_back"] > 0
        assert int(masks.flatten(1).any(dim=1).sum()) == book.counts["anomalies"]
        assert images.shape[-2:] == (4, 4)


def test_without_augmentations_pairs_are_what_the_files_hold(
    ramps: Path, tmp_path: Path, from_bank: Callable[..., StageAugment]
) -> None:
    from anomalib_stage.plugin.pairs.bank import PairBank

    augment = from_bank(probability=1.0)
    opened = PairBank.open(augment.bank)
    stored = [opened.read(pair)[0] for pair in opened.pairs]
    for _, images, _ in train(augment, Supersimplenet(), folder(ramps, None), tmp_path):
        assert all(any(torch.equal(image, one) for one in stored) for image in images)
