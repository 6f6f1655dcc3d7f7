# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageFolder: which samples train, which test, and which models may see them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import pytest
import torch
from anomalib.data import AnomalibDataModule
from anomalib.data.utils import read_image, read_mask
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningModule, Trainer
from torchvision.transforms import v2

from anomalib_stage.errors import DataError, InputError, UnsupportedModelError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.data.folder import StageFolder
from anomalib_stage.plugin.data.transform import StageTransform
from tests.plugin.conftest import Draem, UniNet

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., StageFolder]


@pytest.fixture
def make(parts: Path, bank: Path) -> Make:
    """Return a function that builds a data module of the good pictures and the pairs."""
    given = {"root": parts, "normal_dir": "good", "stage_dir": bank, "num_workers": 0, "val_split_mode": "same_as_test"}
    given |= {"abnormal_dir": "bad", "mask_dir": "mask", "normal_test_dir": "spare", "train_batch_size": 4}
    return lambda **changes: StageFolder(**(given | changes))


def training_with(data: StageFolder, model: Any, *callbacks: Any) -> StageFolder:
    """Attach what the data module reads of a trainer."""
    data.trainer = SimpleNamespace(lightning_module=model, model=model, callbacks=list(callbacks))
    return data


def paths(batches: Any) -> list[str]:
    return [path for batch in batches for path in batch.image_path]


@pytest.mark.parametrize("keeps", [True, False], ids=["one loader", "a new loader for each epoch"])
def test_a_loop_without_a_trainer_gets_other_pairs_in_each_epoch(make: Make, bank: Path, keeps: bool) -> None:
    runs = []
    for _ in range(2):
        data = make()
        data.setup()
        kept = data.train_dataloader()
        epochs = [paths(kept if keeps else data.train_dataloader()) for _ in range(2)]
        runs.append(epochs)
        pairs = [{path for path in epoch if path.startswith(str(bank))} for epoch in epochs]
        assert pairs[0].isdisjoint(pairs[1])  # twelve pairs, six in an epoch
    assert runs[0] == runs[1]


def test_an_epoch_has_the_good_images_and_as_many_pairs(make: Make, bank: Path) -> None:
    data = make()
    data.setup()
    batches = list(data.train_dataloader())
    assert sum(path.startswith(str(bank)) for path in paths(batches)) == 6
    assert len(paths(batches)) == 12
    for batch in batches:
        assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
        for image, mask, label, path in zip(batch.image, batch.gt_mask, batch.gt_label, batch.image_path, strict=True):
            assert bool(label) == path.startswith(str(bank))
            assert torch.equal(image, read_image(path, as_tensor=True))
            if label:
                own = path.replace(f"{bank}/image", f"{bank}/mask")
                assert torch.equal(mask, read_mask(own, as_tensor=True).bool())


def test_validation_and_test_have_real_images_alone(make: Make, bank: Path) -> None:
    data = make()
    data.setup()
    for loader in (data.val_dataloader(), data.test_dataloader()):
        found = paths(loader)
        assert len(found) == 4
        assert not any(path.startswith(str(bank)) for path in found)


@pytest.mark.parametrize(("ratio", "pairs"), [(0, 0), (0.5, 3), (2.0, 12), (3.0, 18)])
def test_the_ratio_is_pairs_for_a_good_image(
    make: Make, bank: Path, ratio: float, pairs: int, caplog: pytest.LogCaptureFixture
) -> None:
    data = make(ratio=ratio)
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        data.setup()
    assert sum(path.startswith(str(bank)) for path in paths(data.train_dataloader())) == pairs
    assert ("some come again" in caplog.text) == (pairs > 12)


def test_kinds_can_be_chosen(make: Make) -> None:
    data = make(defects=["stain"])
    data.setup()
    assert {Path(path).parent.name for path in paths(data.train_dataloader())} == {"good", "stain"}


def test_the_mvtec_layout_is_read_too(make: Make, parts: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    from anomalib_stage.pregeneration.run import pregenerate

    few = {"weights": str(tiny_bundle_path), "sampling_steps": 4, "synthesis": {"gate": {"min_visibility": 0.0}}}
    pregenerate(data=parts / "good", out=tmp_path / "mvtec", count=6, layout="mvtec", **few)
    data = make(stage_dir=tmp_path / "mvtec")
    data.setup()
    assert sum(int(batch.gt_label.sum()) for batch in data.train_dataloader()) == 6


def test_the_folder_of_pairs_is_relative_to_the_root(make: Make, parts: Path, bank: Path, tmp_path: Path) -> None:
    root = shutil.copytree(parts, tmp_path / "root")
    shutil.copytree(bank, root / "pairs")
    data = make(root=root, stage_dir="pairs")
    data.setup()
    assert data.train_data.has_anomalous


@pytest.mark.parametrize("split", [{"normal_test_dir": None}, {"val_split_mode": "from_train", "val_split_ratio": 0.4}])
def test_pairs_of_good_images_that_are_held_back_do_not_train(make: Make, bank: Path, split: dict[str, Any]) -> None:
    data = make(ratio=2.0, **split)
    data.setup()
    trained = [Path(path) for path in paths(data.train_dataloader())]
    good = {path.name for path in trained if not path.is_relative_to(bank)}
    pairs = {path.name.partition("_")[2] for path in trained if path.is_relative_to(bank)}
    assert 0 < len(good) < 6
    assert pairs == good


def test_held_back_images_do_not_come_back_as_pairs_of_a_folder_with_the_same_names(
    make: Make, parts: Path, bank: Path, tmp_path: Path
) -> None:
    shutil.copytree(parts / "good", tmp_path / "lineA" / "good")
    (tmp_path / "lineB" / "good").mkdir(parents=True)
    for path in (parts / "good").iterdir():
        cv2.imwrite(str(tmp_path / "lineB" / "good" / path.name), cv2.imread(str(path))[:, ::-1])
    folders = {"root": tmp_path, "normal_dir": ["lineA/good", "lineB/good"], "abnormal_dir": None, "mask_dir": None}
    options = folders | {"normal_test_dir": None, "val_split_mode": "from_train", "val_split_ratio": 0.5, "seed": 4}
    transform = StageTransform(bank=bank, probability=1.0)
    data = make(**options, ratio=6.0, train_augmentations=transform)
    data.setup()
    trained = [Path(path) for path in data.train_data.samples["image_path"]]
    mine = {path.name for path in trained if path.is_relative_to(tmp_path / "lineA")}
    other = {path.name for path in trained if path.is_relative_to(tmp_path / "lineB")}
    assert mine < mine | other  # a file of lineB has the name of one of lineA that is held back
    assert {path.name.partition("_")[2] for path in trained if path.is_relative_to(bank)} == mine
    assert {pair.source for pair in transform.bank.pairs} == mine


def test_good_images_alone_are_enough(make: Make) -> None:
    data = make(abnormal_dir=None, mask_dir=None)
    data.setup()
    assert data.train_data.task == "segmentation"
    assert all(torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1)) for batch in data.train_dataloader())


def test_a_test_needs_no_pairs(make: Make) -> None:
    data = make(stage_dir="no/such/folder")
    data.setup("test")
    assert len(paths(data.test_dataloader())) == 4


def test_setup_can_be_called_again(make: Make) -> None:
    data = make()
    for stage in ("test", "fit", "fit", None):
        data.setup(stage)
    assert len(data.train_data) == 6 + 12


@pytest.mark.parametrize("transform", [False, True])
def test_two_worker_processes_give_the_same_epochs_as_none(make: Make, bank: Path, transform: bool) -> None:
    def epochs(workers: int) -> list[Any]:
        extra = {"train_augmentations": StageTransform(bank=bank, probability=0.5)} if transform else {}
        data = make(num_workers=workers, ratio=0.5, **extra)
        data.setup()
        loader = data.train_dataloader()
        return [[(batch.image_path, batch.image, batch.gt_mask, batch.gt_label) for batch in loader] for _ in range(2)]

    alone, two = epochs(0), epochs(2)
    for one, other in zip(alone, two, strict=True):
        for (names, *tensors), (other_names, *others) in zip(one, other, strict=True):
            assert names == other_names
            assert all(torch.equal(a, b) for a, b in zip(tensors, others, strict=True))
            assert torch.equal(tensors[2], tensors[1].flatten(1).any(dim=1))
    assert [names for names, *_ in alone[0]] != [names for names, *_ in alone[1]]


class Reader(LightningModule):
    """Remembers what each epoch consists of, and saves checkpoints in the last validation and after it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.epochs = folder, dict[int, list[Any]]()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        self.epochs.setdefault(self.current_epoch, []).append((batch.image_path, float(batch.image.sum())))
        return self.weight.sum()

    def validation_step(self, batch: Any, _: int) -> None:
        pass

    def on_validation_end(self) -> None:
        self.trainer.save_checkpoint(self.folder / "validation.ckpt")

    def on_train_end(self) -> None:
        self.trainer.save_checkpoint(self.folder / "end.ckpt")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_training_goes_on_with_the_next_epoch(make: Make, bank: Path, tmp_path: Path, workers: int) -> None:
    def train(name: str, epochs: int, checkpoint: Path | None = None) -> dict[int, list[Any]]:
        data = make(num_workers=workers, ratio=0.5, train_augmentations=StageTransform(bank=bank, probability=0.5))
        options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        trainer, model = Trainer(max_epochs=epochs, limit_val_batches=2, **options), Reader(tmp_path / name)
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
        return model.epochs

    whole, first = train("whole", 3), train("first", 2)
    assert first == {epoch: whole[epoch] for epoch in (0, 1)}
    for stop in ("validation", "end"):
        assert train("rest", 3, tmp_path / "first" / f"{stop}.ckpt") == {2: whole[2]}
    assert whole[1] != whole[2]


def test_a_transform_paints_the_good_images_and_labels_follow(make: Make, bank: Path) -> None:
    data = make(stage_dir=None, train_augmentations=StageTransform(bank=bank, probability=1.0))
    data.setup()
    for batch in data.train_dataloader():
        assert batch.gt_label.all()
        assert batch.gt_mask.flatten(1).any(dim=1).all()


def test_masks_survive_the_resize_to_the_models_size(make: Make, parts: Path, bank: Path) -> None:
    model = UniNet()
    steps = v2.Compose([v2.Resize((8, 8)), v2.Normalize([0.5] * 3, [0.2] * 3)])
    model.pre_processor = SimpleNamespace(transform=steps)
    data = training_with(make(ratio=2.0), model)
    data.setup()
    batches = list(data.train_dataloader())
    assert batches[0].image.shape[-2:] == (8, 8)
    assert sum(int(batch.gt_label.sum()) for batch in batches) == 12


def test_where_the_defect_is_cut_away_the_image_is_good(make: Make) -> None:
    data = make(ratio=2.0, train_augmentations=v2.RandomCrop(16))
    data.setup()
    labels = []
    for batch in data.train_dataloader():
        assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
        labels += batch.gt_label.tolist()
    assert sum(labels) < 12


# -- models -----------------------------------------------------------------------------------------------------------


def test_a_model_that_takes_batches_for_clean_is_refused_with_the_remedy(make: Make, bank: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"training of Draem.*StageAugment\(bank='{bank}'\)"):
        training_with(make(), Draem()).setup("fit")


def test_beside_the_callback_such_a_model_gets_the_good_images_alone(make: Make, bank: Path) -> None:
    data = training_with(make(), Draem(), StageAugment(bank=bank))
    data.setup("fit")
    assert len(paths(data.train_dataloader())) == 6
    painting = make(train_augmentations=StageTransform(bank=bank))
    with pytest.raises(UnsupportedModelError, match="no StageTransform"):
        training_with(painting, Draem(), StageAugment(bank=bank)).setup("fit")


@pytest.mark.parametrize("changes", [{}, {"stage_dir": None, "train_augmentations": StageTransform()}])
def test_a_model_that_learns_from_every_image_is_refused(make: Make, changes: dict[str, Any]) -> None:
    model = type("Stfpm", (LightningModule,), {})()
    with pytest.raises(UnsupportedModelError, match="StageFolder cannot be used with Stfpm: its student imitates"):
        training_with(make(**changes), model).setup("fit")


def test_good_images_alone_are_for_every_model(make: Make) -> None:
    training_with(make(ratio=0), Draem()).setup("fit")
    training_with(make(stage_dir=None), type("Stfpm", (LightningModule,), {})()).setup("fit")


def test_an_unknown_model_is_warned_about(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        training_with(make(), type("Mine", (LightningModule,), {})()).setup("fit")
    assert "Mine trains on anomalous images, and is not known to read their masks" in caplog.text


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [-0.5, float("nan"), float("inf"), True, "1"])
def test_a_ratio_that_is_no_number_of_pairs_is_refused(make: Make, ratio: object) -> None:
    with pytest.raises(InputError, match=r"StageFolder: ratio is .*; give the number of pairs for each good image"):
        make(ratio=ratio)


@pytest.mark.parametrize(
    ("changes", "complaint"), [({"defects": []}, "defects is"), ({"seed": None}, "seed is None; give an integer")]
)
def test_other_bad_arguments_are_refused(make: Make, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=f"StageFolder: {complaint}"):
        make(**changes)


def test_pairs_that_cannot_be_read_are_refused_at_setup(make: Make) -> None:
    with pytest.raises(DataError, match=r"no/such/folder/manifest\.jsonl: cannot be read"):
        make(stage_dir="no/such/folder").setup()
    with pytest.raises(InputError, match="has no pairs of the defect 'rust'"):
        make(defects=["rust"]).setup()


def test_arguments_of_the_folder_can_be_given_in_yaml(parts: Path, bank: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AnomalibDataModule, "data")
    entry = {"root": str(parts), "normal_dir": "good", "stage_dir": str(bank), "train_batch_size": 2, "ratio": 0.5}
    entry |= {"num_workers": 0, "defects": ["hole"]}
    arguments = {"class_path": "anomalib_stage.StageFolder", "init_args": entry}
    data = parser.instantiate_classes(parser.parse_object({"data": arguments})).data
    assert isinstance(data, StageFolder)
    assert (data.train_batch_size, data.ratio, data.defects, data.name) == (2, 0.5, ["hole"], "StageFolder")
    with pytest.raises(Exception, match="no_such"):
        parser.parse_object({"data": {**arguments, "init_args": {**entry, "no_such": 1}}})


def test_defects_and_masks_among_the_good_images_are_refused_and_leftovers_passed_over(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "set"
    for place in ("good", "good/.Trash-1000/files", "crack", "ground_truth/crack"):
        shutil.copytree(parts / "good", root / place, dirs_exist_ok=True)
    with pytest.raises(DataError, match=r"StageFolder: normal_dir .*set: 12 of 18 pictures are not good images"):
        StageFolder(root, val_split_mode="none", test_split_mode="none").setup("fit")
    module = StageFolder(root / "good", val_split_mode="none", test_split_mode="none")
    module.setup("fit")
    assert [Path(path).parent.name for path in module.train_data.samples["image_path"]] == ["good"] * 6
    assert "left out 6 images in hidden or system folders" in caplog.text
