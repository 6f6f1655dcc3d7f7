# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The recipes for pregenerated pairs train through anomalib's command line and Engine, as they stand, without network.

Worker processes change no pair. What the model gets is a pair of the folder or a good image: pixels, mask and label.
"""

from __future__ import annotations

import runpy
import shutil
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from anomalib.cli.cli import AnomalibCLI
from torchvision.transforms.v2 import functional

from anomalib_stage import StageAugment
from anomalib_stage.errors import InputError
from anomalib_stage.plugin.pairs.bank import PairBank, read_clean
from tests.plugin.real_models import MEAN, STD, Listener, OfflineSupersimplenet, any_pixel, engine_for, supersimplenet

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Origin = Callable[[Tensor, Tensor], str]

FOLDER = Path(__file__).parents[2] / "recipes"


def origins(parts: Path, bank: Path, side: int) -> Origin:
    """Return a function that says which pair or good image, turned or not, a picture with its mask is."""
    opened, size = PairBank.open(bank), (side, side)
    known = {pair.image.stem: opened.read(pair, size=size) for pair in opened.pairs}
    known |= {
        path.stem: (read_clean(path, size=size), torch.zeros((1, *size), dtype=torch.bool))
        for path in (parts / "good").iterdir()
    }

    def origin(image: Tensor, mask: Tensor) -> str:
        found = {
            name
            for (name, pair), turn in product(known.items(), [(), (-1,), (-2,), (-1, -2)])
            if torch.equal(pair[1][0].flip(turn), mask) and torch.allclose(pair[0].flip(turn), image, atol=1e-4)
        }
        assert len(found) == 1, found
        return found.pop()

    return origin


def validated(listener: Listener, origin: Origin) -> list[str]:
    """Return what each sample of a training was; what the model got is what the data module gave."""
    found = []
    for (images, masks, labels), given in zip(listener.batches, listener.given, strict=True):
        assert torch.equal(labels, any_pixel(masks))
        assert torch.equal(given["labels"], labels)
        assert torch.equal(given["masks"].bool(), masks)
        assert torch.allclose(given["images"], functional.normalize(images, MEAN, STD), atol=1e-5)
        found += [origin(image, mask) for image, mask in zip(images, masks, strict=True)]
    return found


def recipe_of(name: str, parts: Path, bank: Path, tmp_path: Path, workers: int) -> dict[str, Any]:
    """Return a recipe, on the small pictures and with Supersimplenet that needs no network."""
    recipe: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    recipe["default_root_dir"] = str(tmp_path / f"results{workers}")
    recipe["model"] = {"class_path": "tests.plugin.real_models.OfflineSupersimplenet"}
    data = recipe["data"]["init_args"]
    data |= {"root": str(parts), "normal_dir": "good", "normal_test_dir": "spare", "abnormal_dir": "bad"}
    data |= {"mask_dir": "mask", "train_batch_size": 4, "eval_batch_size": 2, "num_workers": workers}
    if name == "stage_folder":
        data["stage_dir"] = str(bank)
    else:
        data["train_augmentations"]["init_args"]["transforms"][0]["init_args"]["bank"] = str(bank)
    recipe["trainer"] |= {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False}
    recipe["trainer"] |= {"num_sanity_val_steps": 0, "check_val_every_n_epoch": 2, "enable_model_summary": False}
    recipe["trainer"]["callbacks"] = [{"class_path": "tests.plugin.real_models.Listener"}]
    return recipe


def train(recipe: dict[str, Any], tmp_path: Path) -> AnomalibCLI:
    """Run ``anomalib train --config`` on a recipe."""
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return AnomalibCLI(args=["train", "--config", str(file)])


def callback_of(cli: AnomalibCLI, defect: type) -> Any:
    [callback] = [callback for callback in cli.engine.trainer.callbacks if isinstance(callback, defect)]
    return callback


@pytest.mark.parametrize(
    ("name", "samples"), [("stage_folder", 12), pytest.param("stage_transform", 6, marks=pytest.mark.slow)]
)
def test_a_recipe_trains_and_gives_the_same_pairs_with_worker_processes(
    name: str, samples: int, parts: Path, bank: Path, tmp_path: Path
) -> None:
    runs, origin = [], origins(parts, bank, 128)
    for workers in (0, 2):
        cli = train(recipe_of(name, parts, bank, tmp_path, workers), tmp_path)
        assert isinstance(cli.model, OfflineSupersimplenet)
        assert cli.engine.trainer.callback_metrics.keys() >= {"image_AUROC", "pixel_AUROC"}
        runs.append(validated(callback_of(cli, Listener), origin))
    assert runs[0] == runs[1]
    epochs = runs[0][:samples], runs[0][samples:]
    pairs = [{name for name in epoch if "_" in name} for epoch in epochs]
    assert len(epochs[1]) == samples
    assert all(0 < len(of_epoch) < samples for of_epoch in pairs)
    assert pairs[0] != pairs[1]


def test_the_recipe_trains_draem_with_the_callback(parts: Path, bank: Path, tmp_path: Path) -> None:
    recipe = recipe_of("stage_folder", parts, bank, tmp_path, workers=0)
    (tmp_path / "dtd").mkdir()
    resize = {"class_path": "torchvision.transforms.v2.Resize", "init_args": {"size": [32, 32]}}
    steps = {"class_path": "anomalib.pre_processing.PreProcessor", "init_args": {"transform": resize}}
    options = {"dtd_dir": str(tmp_path / "dtd"), "pre_processor": steps, "visualizer": False}
    recipe["model"] = {"class_path": "anomalib.models.Draem", "init_args": options}
    callback = {"class_path": "anomalib_stage.StageAugment", "init_args": {"bank": str(bank), "negatives": 0.0}}
    recipe["trainer"] |= {"callbacks": [callback], "max_epochs": 1, "check_val_every_n_epoch": 1}
    cli = train(recipe, tmp_path)
    augment = callback_of(cli, StageAugment)
    assert augment.counts["images"] == 6
    assert augment.counts["anomalies"] > 0
    assert len(cli.datamodule.train_data) == 6


@pytest.mark.slow
def test_the_script_trains_and_gives_the_same_pairs_with_worker_processes(
    parts: Path, bank: Path, tmp_path: Path
) -> None:
    pipeline = runpy.run_path(str(FOLDER / "custom_pipeline.py"))["pipeline"]
    wanted = {"train/good": "good", "test/good": "spare", "test/crack": "bad", "ground_truth/crack": "mask"}
    for folder, source in wanted.items():
        shutil.copytree(parts / source, tmp_path / "tiles" / folder)
    shutil.copytree(bank, tmp_path / "tiles" / "pairs")
    runs, origin = [], origins(parts, bank, 256)
    for workers in (0, 2):
        listener = Listener()
        datamodule, epochs = pipeline(tmp_path / "tiles", num_workers=workers)
        engine = engine_for(tmp_path, listener, epochs, max_epochs=2)
        with torch.random.fork_rng():
            torch.manual_seed(0)  # the order of anomalib's Folder
            engine.fit(supersimplenet(256), datamodule=datamodule)
        found = validated(listener, origin)
        runs.append([sorted(epoch) for epoch in (found[:6], found[6:])])
        assert 0 < sum("_" in name for name in found) < 12
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]


def test_a_recipe_with_two_callbacks_ends_in_our_own_message(parts: Path, bank: Path, tmp_path: Path) -> None:
    recipe = recipe_of("stage_folder", parts, bank, tmp_path, workers=0)
    callback = {"class_path": "anomalib_stage.StageAugment", "init_args": {"weights": "no/such/file"}}
    recipe["trainer"]["callbacks"] = [callback, callback | {"init_args": {"defects": ["hole"]}}]
    with pytest.raises(InputError, match="two StageAugment callbacks in this trainer; give one"):
        train(recipe, tmp_path)
