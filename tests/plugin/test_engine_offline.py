# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""anomalib's real models train on pregenerated pairs, through its Engine, without network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from anomalib.data.utils import read_image
from torchvision.transforms import v2

from anomalib_stage import StageAugment, StageFolder, StageTransform, stage_collate
from anomalib_stage.errors import UnsupportedModelError
from anomalib_stage.plugin.pairs.bank import PairBank
from anomalib_stage.plugin.pairs.resize import resize_mask
from tests.plugin.real_models import (
    any_pixel,
    data_module,
    draem,
    engine_for,
    glass,
    heard,
    supersimplenet,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., StageFolder]


@pytest.fixture
def stage_folder(parts: Path, bank: Path) -> Make:
    """Return a function that builds a data module of the good pictures and the pairs."""
    given = {"root": parts, "normal_dir": "good", "stage_dir": bank, "num_workers": 0, "val_split_mode": "same_as_test"}
    given |= {"abnormal_dir": "bad", "mask_dir": "mask", "normal_test_dir": "spare", "train_batch_size": 4}
    return lambda **changes: StageFolder(**(given | changes))


def _seen(model: Any, tmp_path: Path, data: Any, *callbacks: Any, **options: Any) -> list[dict[str, Any]]:
    """Train and return what the model was given: images, masks and labels of each batch."""
    given = heard(model.model)
    engine_for(tmp_path, *callbacks, **options).fit(model, datamodule=data)
    return [named for _, named in given if named.get("labels") is not None]


def test_supersimplenet_gets_images_masks_and_labels_that_agree(stage_folder: Make, tmp_path: Path, bank: Path) -> None:
    opened = PairBank.open(bank)
    masks = [resize_mask(opened.read(pair)[1], (128, 128))[0] for pair in opened.pairs]
    batches = _seen(supersimplenet(), tmp_path, stage_folder())
    labels = torch.cat([batch["labels"] for batch in batches])
    assert sorted(labels.tolist()) == [False] * 6 + [True] * 6
    for batch in batches:
        assert torch.equal(batch["labels"], any_pixel(batch["masks"]))
        assert all(any(torch.equal(mask.bool(), one) for one in masks) for mask in batch["masks"] if mask.any())


def test_the_transform_and_the_collate_suit_any_data_module(parts: Path, tmp_path: Path, bank: Path) -> None:
    data = data_module(parts, train_augmentations=StageTransform(bank=bank, probability=1.0))
    data.external_collate_fn = stage_collate
    for batch in _seen(supersimplenet(), tmp_path, data):
        assert batch["labels"].all()
        assert any_pixel(batch["masks"]).all()


def test_supersimplenet_gets_pairs_of_the_callback(parts: Path, tmp_path: Path, bank: Path) -> None:
    augment = StageAugment(bank=bank, probability=0.5, negatives=0.0, weights="no/such/file")
    batches = _seen(supersimplenet(), tmp_path, data_module(parts), augment, max_epochs=2)
    labels = torch.cat([batch["labels"] for batch in batches])
    assert set(labels.tolist()) == {True, False}
    assert torch.equal(labels, torch.cat([any_pixel(batch["masks"]) for batch in batches]))
    assert augment.counts["anomalies"] == int(labels.sum())


@pytest.mark.parametrize("turned", [False, True])
def test_draem_learns_pairs_against_their_clean_originals(
    parts: Path, tmp_path: Path, bank: Path, stage_folder: Make, turned: bool
) -> None:
    model, turn = draem(tmp_path), v2.RandomHorizontalFlip(1.0) if turned else None
    own, given, losses = model.augmenter, heard(model.model), heard(model.loss)
    augment = StageAugment(bank=bank, probability=1.0, negatives=0.0, weights="no/such/file")
    data = stage_folder(train_augmentations=turn)
    engine = engine_for(tmp_path, augment)
    engine.fit(model, datamodule=data)
    resize = v2.Resize((32, 32))
    good = torch.stack([resize(read_image(path, as_tensor=True)) for path in sorted((parts / "good").iterdir())])
    good = good.flip(-1) if turned else good  # the clean originals are turned as all images are
    assert len(losses) == 2
    for ((augmented,), _), ((clean, _, mask, _), _) in zip(given, losses, strict=True):
        changed = (augmented != clean).any(dim=1, keepdim=True)
        assert any_pixel(mask).all()
        assert any_pixel(changed).all()
        assert not (changed & (mask == 0)).any()
        assert all(((image - good).abs() < 1e-6).flatten(1).all(dim=1).any() for image in clean)
    assert model.augmenter is own
    assert augment.counts["anomalies"] == augment.counts["images"] == 6
    assert (Path(engine.trainer.default_root_dir) / "stage_preview.png").is_file()


def test_glass_gets_pairs_normalised_as_its_images(
    parts: Path, tmp_path: Path, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, pairs = glass(), []
    features = model.model.calculate_features

    def listen(img: torch.Tensor, aug: torch.Tensor, **options: Any) -> Any:
        pairs.append((img, aug))
        return features(img, aug, **options)

    monkeypatch.setattr(model.model, "calculate_features", listen)
    augment = StageAugment(bank=bank, negatives=0.0, weights="no/such/file")
    engine_for(tmp_path, augment).fit(model, datamodule=data_module(parts))
    assert augment.counts["anomalies"] == 6
    for clean, augmented in pairs:
        changed = (clean - augmented).abs().amax(dim=1) > 1e-4
        assert any_pixel(changed).all()
        assert changed.float().mean() < 0.5


def test_draem_is_refused_without_the_callback(stage_folder: Make, tmp_path: Path, bank: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"StageAugment\(bank='{bank}'\)"):
        engine_for(tmp_path).fit(draem(tmp_path), datamodule=stage_folder())
